//! Table tests of the lease.

use proptest::prelude::*;

use super::*;
use crate::control::test::start;

const CONFIG: Config = Config { lasts: Duration::from_secs(10) };

fn granted(answer: &Answer) -> u32 {
    match answer {
        Answer::Granted(grant) => grant.epoch,
        Answer::Denied { holder } => panic!("denied: {holder} drives"),
    }
}

fn held_by_ann() -> Lease {
    let mut lease = Lease::new(CONFIG, 100);
    assert_eq!(granted(&lease.handle_request("ann", start())), 101);
    lease
}

#[test]
fn a_free_lease_goes_to_whoever_asks() {
    let mut lease = Lease::new(CONFIG, 100);
    assert_eq!((lease.epoch(), lease.holder()), (0, None));
    let want = Grant { epoch: 101, holder: "ann".into(), lost: None };
    assert_eq!(lease.handle_request("ann", start()), Answer::Granted(want));
    assert_eq!((lease.epoch(), lease.holder()), (101, Some("ann")));
}

#[test]
fn a_second_client_is_denied() {
    let mut lease = held_by_ann();
    assert_eq!(lease.handle_request("bob", start()), Answer::Denied { holder: "ann".into() });
    assert_eq!((lease.epoch(), lease.holder()), (101, Some("ann")));
    assert_eq!(lease.handle_hand_over("bob", "bob", start()), None);
    assert!(!lease.handle_release("bob"));
    assert!(lease.is_held_by("ann"));
}

#[test]
fn the_holder_who_asks_again_gets_another_epoch_once_the_first_was_used() {
    let mut lease = held_by_ann();
    assert_eq!(granted(&lease.handle_request("ann", start())), 101, "on a slow link one asks twice");
    lease.renew(start());
    let again = lease.handle_request("ann", start());
    assert_eq!(again, Answer::Granted(Grant { epoch: 102, holder: "ann".into(), lost: None }));
}

#[test]
fn the_owner_takes_it_from_anyone() {
    let mut lease = held_by_ann();
    let lost = Some(("ann".to_owned(), Revocation::Owner));
    assert_eq!(lease.handle_take("eve", start()), Grant { epoch: 102, holder: "eve".into(), lost });
    assert_eq!(lease.handle_take("eve", start()).lost, None, "her own is not lost");
}

#[test]
fn the_holder_hands_it_over() {
    let mut lease = held_by_ann();
    let lost = Some(("ann".to_owned(), Revocation::HandedOver));
    let want = Grant { epoch: 102, holder: "bob".into(), lost };
    assert_eq!(lease.handle_hand_over("ann", "bob", start()), Some(want));
}

#[test]
fn the_holder_gives_it_back() {
    let mut lease = held_by_ann();
    assert!(lease.handle_release("ann"));
    assert_eq!((lease.epoch(), lease.holder()), (0, None));
    assert_eq!(granted(&lease.handle_request("bob", start())), 102);
}

#[test]
fn it_ends_when_its_time_is_up_and_not_before() {
    let at = |ms| start() + Duration::from_millis(ms);
    for (ms, want) in [(9_999, None), (10_000, Some("ann".to_owned()))] {
        let start = start();
        let mut lease = Lease::new(CONFIG, 100);
        lease.handle_request("ann", start);
        assert_eq!(lease.poll_timeout(), Some(start + CONFIG.lasts));
        assert_eq!(lease.handle_timeout(start + Duration::from_millis(ms)), want);
        assert_eq!(lease.epoch() == 0, want.is_some());
    }
    assert_eq!(Lease::new(CONFIG, 0).handle_timeout(at(60_000)), None);
}

#[test]
fn a_command_that_counts_makes_it_last_longer() {
    let start = start();
    let mut lease = Lease::new(CONFIG, 100);
    lease.handle_request("ann", start);
    lease.renew(start + Duration::from_secs(9));
    assert_eq!(lease.handle_timeout(start + Duration::from_millis(18_999)), None);
    assert_eq!(lease.handle_timeout(start + Duration::from_secs(19)), Some("ann".into()));
    lease.renew(start + Duration::from_secs(19));
    assert_eq!(lease.holder(), None, "what has ended is not renewed");
}

#[test]
fn it_never_ends_under_an_armed_car() {
    let lease = Lease::new(Config { lasts: Duration::from_millis(1) }, 0);
    assert_eq!(lease.lasts(), LASTS_MIN);
    assert!(LASTS_MIN > crate::control::failsafe::DISARM);
}

#[test]
fn an_epoch_is_never_zero() {
    let mut lease = Lease::new(CONFIG, u32::MAX);
    assert_eq!(granted(&lease.handle_request("ann", start())), 1);
}

proptest! {
    #[test]
    fn no_epoch_is_granted_twice_and_at_most_one_drives(steps in proptest::collection::vec((0u8..6, 0usize..3, 0usize..3, 0u64..6_000), 1..200), first: u32) {
        let names = ["ann", "bob", "eve"];
        let mut lease = Lease::new(CONFIG, first);
        let (mut now, mut epochs) = (start(), std::collections::BTreeSet::new());
        for (step, who, whom, gap) in steps {
            now += Duration::from_millis(gap);
            lease.handle_timeout(now);
            let held_before = lease.holder().map(str::to_owned);
            let grant = match step {
                0 | 1 => match lease.handle_request(names[who], now) {
                    Answer::Granted(grant) => Some(grant),
                    Answer::Denied { holder } => {
                        prop_assert!(holder != names[who] && held_before.as_deref() == Some(holder.as_str()));
                        None
                    }
                },
                2 => Some(lease.handle_take(names[who], now)),
                3 => lease.handle_hand_over(names[who], names[whom], now),
                4 => { lease.renew(now); None }
                _ => { prop_assert_eq!(lease.handle_release(names[who]), held_before.as_deref() == Some(names[who])); None }
            };
            if let Some(grant) = grant {
                let same = held_before.as_deref() == Some(names[who]) && grant.holder == names[who];
                prop_assert!(grant.epoch != 0 && (epochs.insert(grant.epoch) || same), "epoch {} again", grant.epoch);
                prop_assert_eq!(lease.epoch(), grant.epoch);
                let lost = held_before.filter(|holder| *holder != grant.holder);
                prop_assert_eq!(grant.lost.map(|(peer, _)| peer), lost);
            }
        }
    }
}
