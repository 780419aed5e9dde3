use proptest::prelude::*;

use super::super::test::start;
use super::*;

const HD: Source = Source { kind: Kind::Camera, size: Size::new(1280, 720), fps: 30 };

struct Case {
    layers: Layers,
    now: Instant,
    demands: BTreeMap<ConnId, Demand>,
}

impl Case {
    fn new(source: Source) -> Self {
        Self { layers: Layers::new(source), now: start(), demands: BTreeMap::new() }
    }

    fn want(&mut self, id: u64, tile: (u32, u32), kbps: u32) {
        let tile = Some(Size::new(tile.0, tile.1));
        self.demands.insert(ConnId::new(id), Demand { tile, rate: Bitrate::from_kbps(kbps) });
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.layers.handle_demands(&self.demands, self.now);
    }

    fn got(&self, id: u64) -> Option<(u32, u32)> {
        let encoding = self.layers.encodings()[self.layers.serving(ConnId::new(id))?]?;
        Some((encoding.size.height, encoding.bitrate.as_kbps()))
    }

    fn count(&self) -> usize {
        self.layers.encodings().iter().flatten().count()
    }
}

#[test]
fn a_strip_is_never_made_too_flat_for_an_encoder() {
    for (size, want) in [
        (Size::new(1920, 40), 20),
        (Size::new(40, 1920), 1080),
        (Size::new(4000, 20), 20),
        (Size::new(1920, 8), 8),
    ] {
        for thrift in [Thrift::Free, Thrift::Low] {
            let mut case = Case::new(Source { kind: Kind::Screen, size, fps: 15 });
            case.layers.set_thrift(thrift);
            case.want(1, (64, 64), 5000);
            case.pass(0);
            let encoding = case.layers.encodings().into_iter().flatten().next().expect("there is one");
            let short = encoding.size.width.min(encoding.size.height);
            assert!(short >= 16 || encoding.size == size, "{size}: {}", encoding.size);
            assert_eq!(encoding.size.height, want, "{size} {thrift:?}");
        }
    }
}

#[test]
fn each_receiver_gets_what_its_tile_and_its_link_allow() {
    for (tile, kbps, want) in [
        ((1280, 720), 5000, Some((720, 2800))),
        ((1920, 1080), 5000, Some((720, 2800))),
        ((1280, 720), 1000, Some((540, 1000))),
        ((640, 360), 5000, Some((360, 900))),
        ((800, 450), 5000, Some((360, 900))),
        ((810, 456), 5000, Some((540, 1600))),
        ((320, 180), 5000, Some((180, 250))),
        ((2, 2), 5000, Some((180, 250))),
        ((1280, 720), 100, Some((180, 100))),
        ((1280, 720), 39, None),
        // A tall tile shows a wide picture small.
        ((360, 720), 5000, Some((180, 250))),
    ] {
        let mut case = Case::new(HD);
        case.want(1, tile, kbps);
        case.pass(0);
        assert_eq!(case.got(1), want, "{tile:?} {kbps}");
    }
}

#[test]
fn what_nobody_shows_is_not_encoded() {
    let mut case = Case::new(HD);
    case.pass(0);
    assert_eq!(case.count(), 0);
    case.want(1, (640, 360), 2000);
    case.pass(0);
    assert_eq!(case.count(), 1);
    case.demands.insert(ConnId::new(1), Demand { tile: None, rate: Bitrate::from_kbps(2000) });
    case.pass(0);
    assert_eq!(case.count(), 0);
}

#[test]
fn receivers_of_like_use_share_an_encoding_and_seven_of_all_kinds_have_three() {
    let mut case = Case::new(HD);
    for (id, kbps) in [(1, 2000), (2, 1900), (3, 1700)] {
        case.want(id, (640, 360), kbps);
    }
    case.pass(0);
    assert_eq!(case.count(), 1);
    let tiles = [(1280, 720), (960, 540), (640, 360), (320, 180)];
    for id in 1..8 {
        case.want(id, tiles[id as usize % 4], 300 * id as u32 * id as u32);
    }
    case.pass(0);
    assert_eq!(case.count(), 3);
    for id in 1..8 {
        assert!(case.got(id).is_some(), "{id}");
    }
}

#[test]
fn one_slow_link_does_not_spoil_the_picture_of_the_others() {
    let mut case = Case::new(HD);
    for (id, kbps) in [(1, 3000), (2, 2800), (3, 3000)] {
        case.want(id, (1280, 720), kbps);
    }
    case.pass(0);
    assert_eq!(case.got(1), Some((720, 2800)));
    let number = case.layers.serving(ConnId::new(1));
    case.want(2, (1280, 720), 300);
    // Their rate is one at once: what the slow one cannot carry would be a queue.
    case.pass(50);
    assert_eq!(case.got(2).map(|got| got.1), Some(300));
    case.pass(1000);
    assert_eq!(case.got(2), Some((270, 300)));
    assert_eq!(case.got(1).map(|got| got.1), Some(2800));
    assert_eq!(
        case.layers.serving(ConnId::new(1)),
        number,
        "the two stay with theirs: no key frame for them"
    );
    case.pass(1600);
    assert_eq!(case.got(1), Some((720, 2800)));
}

#[test]
fn a_size_goes_down_soon_and_up_later_and_a_tile_counts_at_once() {
    let mut case = Case::new(HD);
    case.want(1, (1280, 720), 2000);
    case.pass(0);
    assert_eq!(case.got(1), Some((720, 2000)));
    case.want(1, (1280, 720), 600);
    case.pass(0);
    assert_eq!(case.got(1), Some((720, 600)));
    case.pass(299);
    assert_eq!(case.got(1), Some((720, 600)));
    case.pass(1);
    assert_eq!(case.got(1), Some((360, 600)));
    case.want(1, (1280, 720), 2000);
    case.pass(0);
    case.pass(1499);
    assert_eq!(case.got(1), Some((360, 900)));
    case.pass(1);
    assert_eq!(case.got(1), Some((720, 2000)));
    case.want(1, (320, 180), 2000);
    case.pass(0);
    assert_eq!(case.got(1), Some((180, 250)));
}

#[test]
fn with_little_to_spend_pictures_are_small_and_few() {
    let mut case = Case::new(HD);
    case.want(1, (1280, 720), 5000);
    case.layers.set_thrift(Thrift::Low);
    case.pass(0);
    let encoding = case.layers.encodings()[0].expect("there is one");
    assert_eq!((encoding.size.height, encoding.fps, encoding.bitrate.as_kbps()), (270, 10, 250));
}

#[test]
fn a_shared_screen_stays_large_at_a_rate_at_which_a_face_would_be_small() {
    let mut case = Case::new(Source { kind: Kind::Screen, size: Size::new(1920, 1080), fps: 30 });
    case.want(1, (1920, 1080), 900);
    case.pass(0);
    assert_eq!(case.got(1), Some((1080, 900)));
    assert_eq!(case.layers.encodings()[0].map(|encoding| encoding.fps), Some(15));
}

#[test]
fn another_source_is_split_anew() {
    let mut case = Case::new(HD);
    case.want(1, (1280, 720), 5000);
    case.pass(0);
    case.layers.set_source(Source { size: Size::new(640, 480), ..HD });
    case.pass(0);
    assert_eq!(case.got(1), Some((480, 1600)));
}

proptest! {
    #[test]
    fn nobody_is_served_more_than_wanted_and_nobody_is_forgotten(
        steps in proptest::collection::vec(
            (0_u64..7, proptest::option::of((2_u32..2000, 2_u32..1100)), 0_u32..6000, 0_u64..700), 1..120),
        screen in any::<bool>(),
    ) {
        let kind = if screen { Kind::Screen } else { Kind::Camera };
        let mut case = Case::new(Source { kind, ..HD });
        for (id, tile, kbps, ms) in steps {
            let tile = tile.map(|(width, height)| Size::new(width, height));
            case.demands.insert(ConnId::new(id), Demand { tile, rate: Bitrate::from_kbps(kbps) });
            case.pass(ms);
            prop_assert!(case.count() <= ENCODINGS_MAX);
            let served = case.demands.keys().filter(|id| case.layers.serving(**id).is_some()).count();
            prop_assert!(case.count() <= served, "an encoding for nobody");
            for (id, demand) in &case.demands {
                let got = case.layers.serving(*id).map(|number| {
                    case.layers.encodings()[number].expect("who is served has an encoding")
                });
                let Some(tile) = demand.tile.filter(|_| demand.rate >= RATE_MIN) else {
                    prop_assert_eq!(got, None);
                    continue;
                };
                let got = got.expect("who wants it gets it");
                let shown = HD.size.within(tile);
                let smallest = if screen { 360 } else { 180 };
                prop_assert!(got.bitrate <= demand.rate);
                prop_assert!(got.size.height <= smallest || got.size.height * 10 <= shown.height * 12,
                    "{got:?} for {shown}");
            }
        }
    }

    #[test]
    fn rates_that_waver_change_neither_sizes_nor_the_split(
        around in proptest::collection::vec(900_u32..1500, 100..300),
    ) {
        let mut case = Case::new(HD);
        let mut before = None;
        for (step, kbps) in around.into_iter().enumerate() {
            case.want(1, (960, 540), kbps);
            case.want(2, (960, 540), 1600);
            case.pass(100);
            let now = (case.got(1).map(|got| got.0), case.count());
            if step > 30 {
                prop_assert_eq!(*before.get_or_insert(now), now);
            }
        }
    }
}
