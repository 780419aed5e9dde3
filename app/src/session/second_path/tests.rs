use farwheel_peer::Failure;

use super::*;

const DIRECT: SelectedPair =
    SelectedPair { local: CandidateType::Host, remote: CandidateType::ServerReflexive, relay: None };
const RELAYED: SelectedPair =
    SelectedPair { local: CandidateType::ServerReflexive, remote: CandidateType::Relayed, relay: None };

fn ip(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn interface(name: &str, last: u8, medium: Medium, route: Option<u32>) -> Interface {
    Interface { name: name.into(), addresses: vec![ip(last)], medium, route }
}

fn laptop() -> Vec<Interface> {
    vec![
        interface("eth0", 1, Medium::Device, Some(100)),
        interface("wlan0", 2, Medium::Device, Some(600)),
        interface("usb0", 3, Medium::Device, Some(300)),
        interface("docker0", 4, Medium::Device, None),
        interface("tun0", 5, Medium::Tunnel, Some(50)),
    ]
}

fn facts(pair: SelectedPair, network: &str, interfaces: &[&str]) -> Facts {
    let is_there = |one: &Interface| interfaces.contains(&one.name.as_str());
    Facts {
        main: Some(Main { conn: ConnId::new(1), pair: Some(pair), network: Some(network.into()) }),
        robot: ControlPaths::Two,
        is_signaling: true,
        interfaces: laptop().into_iter().filter(is_there).collect(),
        has_relay: true,
    }
}

fn by(name: &str) -> Way {
    Way::Interface(name.into())
}

fn open(way: Way) -> Vec<Action> {
    vec![Action::Open { beside: ConnId::new(1), way }]
}

fn actions(path: &mut SecondPath) -> Vec<Action> {
    std::iter::from_fn(|| path.poll_action()).collect()
}

/// What is done first, and what the driver reads then.
fn first(wish: Paths, facts: &Facts) -> (Vec<Action>, Option<String>) {
    let mut path = SecondPath::new(wish);
    path.handle_facts(facts, Instant::now());
    (actions(&mut path), path.line())
}

fn standing(wish: Paths, facts: &Facts, start: Instant) -> SecondPath {
    let mut path = SecondPath::new(wish);
    path.handle_facts(facts, start);
    path.handle_link(&LinkState::Connected, 0.0, start);
    assert_eq!(actions(&mut path).len(), 1);
    assert!(path.standing().is_some());
    path
}

const FAILED: LinkState = LinkState::Failed(Failure::Silence);

#[test]
fn the_best_way_is_tried_that_shares_least_with_the_main_path() {
    let two = ["eth0", "wlan0"];
    for (what, wish, facts, want) in [
        ("the other network", Paths::Auto, facts(DIRECT, "eth0", &two), open(by("wlan0"))),
        ("and back", Paths::Auto, facts(DIRECT, "wlan0", &two), open(by("eth0"))),
        (
            "of several the one that the system prefers",
            Paths::Auto,
            facts(DIRECT, "eth0", &["eth0", "wlan0", "usb0"]),
            open(by("usb0")),
        ),
        ("also if the main path is relayed", Paths::Auto, facts(RELAYED, "eth0", &two), open(by("wlan0"))),
        ("rather than a relay", Paths::Two, facts(DIRECT, "eth0", &two), open(by("wlan0"))),
        ("a relay if it is asked for", Paths::Two, facts(DIRECT, "eth0", &["eth0"]), open(Way::Relay)),
        ("also from a VPN", Paths::Two, facts(DIRECT, "tun0", &["tun0", "eth0"]), open(Way::Relay)),
    ] {
        let (done, line) = first(wish, &facts);
        assert_eq!(done, want, "{what}");
        assert!(line.unwrap().starts_with("Control on one path: trying "), "{what}");
    }
}

#[test]
fn where_there_is_no_second_path_the_driver_is_told_why() {
    let one = facts(DIRECT, "eth0", &["eth0"]);
    let old = Facts { robot: ControlPaths::One, ..facts(DIRECT, "eth0", &["eth0", "wlan0"]) };
    let here = facts(DIRECT, "lo", &["eth0", "wlan0"]);
    for (wish, facts, want) in [
        (Paths::Auto, one.clone(), "this computer is in one network"),
        // Bridges for containers lead nowhere, and a VPN runs over the network itself.
        (Paths::Auto, facts(DIRECT, "eth0", &["eth0", "docker0", "tun0"]), "this computer is in one network"),
        (Paths::Auto, facts(DIRECT, "tun0", &["eth0", "wlan0", "tun0"]), "it runs through a VPN"),
        (Paths::Auto, old.clone(), "the robot takes no second one"),
        (Paths::Two, old, "the robot takes no second one"),
        (Paths::Auto, here, "the robot is on this computer"),
        (Paths::Two, Facts { has_relay: false, ..one }, "there is neither a second network nor a relay"),
        (
            Paths::Two,
            facts(RELAYED, "eth0", &["eth0"]),
            "there is no second network, and it is relayed already",
        ),
    ] {
        assert_eq!(first(wish, &facts), (vec![], Some(format!("Control on one path: {want}."))));
    }
}

#[test]
fn nothing_is_said_or_done_unless_it_is_wanted_and_the_main_path_stands() {
    let all = facts(DIRECT, "eth0", &["eth0", "wlan0"]);
    let main = Main { conn: ConnId::new(1), pair: None, network: None };
    for (wish, facts) in [
        (Paths::One, all.clone()),
        (Paths::Two, Facts { main: None, ..all.clone() }),
        (Paths::Two, Facts { main: Some(main), ..all.clone() }),
        (Paths::Two, Facts { is_signaling: false, ..all }),
    ] {
        assert_eq!(first(wish, &facts), (vec![], None), "{wish:?} {facts:?}");
    }
}

#[test]
fn a_way_that_fails_is_tried_again_more_and_more_slowly_by_turns_with_others() {
    let facts = facts(DIRECT, "eth0", &["eth0", "wlan0"]);
    let mut now = Instant::now();
    let mut path = SecondPath::new(Paths::Two);
    path.handle_facts(&facts, now);
    let mut ways = Vec::new();
    for (bound, random) in [(1, 0.0), (2, 1.0), (4, 0.5), (8, 1.0), (16, 1.0), (30, 1.0), (30, 0.0)] {
        match &actions(&mut path)[..] {
            [Action::Open { way, .. }] => ways.push(way.clone()),
            other => panic!("{other:?}"),
        }
        path.handle_link(&FAILED, random, now);
        assert_eq!(actions(&mut path), [Action::Close]);
        assert!(path.line().unwrap().ends_with("does not get through."));
        let pause = Duration::from_secs(bound).mul_f64(0.5 + random / 2.0);
        path.handle_facts(&facts, now + pause - Duration::from_millis(1));
        assert_eq!(actions(&mut path), []);
        now += pause;
        path.handle_facts(&facts, now);
    }
    assert_eq!(ways[..4], [by("wlan0"), Way::Relay, by("wlan0"), Way::Relay]);
    // One that stood for long begins anew.
    path.handle_link(&LinkState::Connected, 0.0, now);
    now += PROVEN;
    path.handle_facts(&facts, now);
    path.handle_link(&FAILED, 1.0, now);
    actions(&mut path);
    path.handle_facts(&facts, now + FIRST);
    assert_eq!(actions(&mut path), open(Way::Relay), "after a second, by the other way");
}

#[test]
fn another_network_is_tried_at_once() {
    let start = Instant::now();
    let mut path = SecondPath::new(Paths::Auto);
    path.handle_facts(&facts(DIRECT, "eth0", &["eth0", "wlan0"]), start);
    path.handle_link(&FAILED, 1.0, start);
    actions(&mut path);
    path.handle_facts(&facts(DIRECT, "eth0", &["eth0", "usb0"]), start);
    assert_eq!(actions(&mut path), open(by("usb0")));
}

#[test]
fn it_ends_with_what_it_stands_beside_and_when_it_is_no_second_path_any_more() {
    let start = Instant::now();
    let both = facts(DIRECT, "eth0", &["eth0", "wlan0"]);
    let another = Main { conn: ConnId::new(2), pair: Some(DIRECT), network: Some("eth0".into()) };
    for (what, next) in [
        ("no main connection", Facts { main: None, ..both.clone() }),
        ("another one", Facts { main: Some(another), ..both.clone() }),
        ("the main path moves here", facts(DIRECT, "wlan0", &["eth0", "wlan0"])),
        ("the network is gone", facts(DIRECT, "eth0", &["eth0"])),
    ] {
        let mut path = standing(Paths::Auto, &both, start);
        assert_eq!(path.line().unwrap(), "Control on two paths: eth0 and wlan0.");
        path.handle_facts(&both, start);
        assert_eq!(actions(&mut path), [], "{what}");
        path.handle_facts(&next, start);
        assert_eq!(actions(&mut path), [Action::Close], "{what}");
    }
    let mut path = standing(Paths::Auto, &both, start);
    path.set_wish(Paths::One);
    path.handle_facts(&both, start);
    assert_eq!((actions(&mut path), path.line()), (vec![Action::Close], None));
    // A relay stands beside a direct path only, and only as long as it is asked for.
    let single = facts(DIRECT, "eth0", &["eth0"]);
    let mut path = standing(Paths::Two, &single, start);
    assert_eq!(path.line().unwrap(), "Control on two paths: eth0 and relay.");
    path.handle_facts(&facts(RELAYED, "eth0", &["eth0"]), start);
    assert_eq!(actions(&mut path), [Action::Close]);
    let mut path = standing(Paths::Two, &single, start);
    path.set_wish(Paths::Auto);
    path.handle_facts(&single, start);
    assert_eq!(actions(&mut path), [Action::Close]);
}

#[test]
fn it_outlives_silence_the_server_and_a_main_path_in_search_of_itself() {
    let start = Instant::now();
    let both = facts(DIRECT, "eth0", &["eth0", "wlan0"]);
    let mut path = standing(Paths::Auto, &both, start);
    let main = Main { conn: ConnId::new(1), pair: None, network: None };
    path.handle_link(&LinkState::Disconnected, 0.0, start);
    path.handle_facts(&Facts { is_signaling: false, ..both.clone() }, start);
    path.handle_facts(&Facts { main: Some(main), ..both.clone() }, start);
    path.handle_link(&LinkState::Connected, 0.0, start);
    path.handle_path(Some(DIRECT), Some(ip(2)), &both, start);
    path.handle_path(None, None, &both, start);
    assert_eq!((actions(&mut path), path.standing()), (vec![], Some(&by("wlan0"))));
}

#[test]
fn it_outlives_a_main_path_whose_network_is_not_known() {
    let start = Instant::now();
    let both = facts(DIRECT, "eth0", &["eth0", "wlan0"]);
    let unknown = |facts: &Facts, network: Option<&str>| {
        let main = facts.main.clone().map(|main| Main { network: network.map(Into::into), ..main });
        Facts { main, ..facts.clone() }
    };
    for (what, wish, has_relay) in
        [("auto", Paths::Auto, true), ("with a relay", Paths::Two, true), ("without one", Paths::Two, false)]
    {
        let both = Facts { has_relay, ..both.clone() };
        for network in [None, Some("eth9")] {
            let mut path = standing(wish, &both, start);
            path.handle_facts(&unknown(&both, network), start);
            assert_eq!(
                (actions(&mut path), path.standing()),
                (vec![], Some(&by("wlan0"))),
                "{what} {network:?}"
            );
            path.handle_facts(&both, start);
            assert_eq!(actions(&mut path), [], "{what}: known again");
            // Its own network has to be there all the same, with a route, and the driver has to want it.
            let mut gone = unknown(&both, network);
            gone.interfaces.retain(|one| one.name != "wlan0");
            let mut routeless = unknown(&both, network);
            routeless.interfaces.iter_mut().for_each(|one| one.route = None);
            for facts in [gone, routeless, Facts { main: None, ..both.clone() }] {
                let mut path = standing(wish, &both, start);
                path.handle_facts(&facts, start);
                assert_eq!(actions(&mut path)[..1], [Action::Close], "{what}: {facts:?}");
            }
            let mut path = standing(wish, &both, start);
            path.set_wish(Paths::One);
            path.handle_facts(&unknown(&both, network), start);
            assert_eq!(actions(&mut path), [Action::Close], "{what}");
        }
    }
    // So does one over a relay, for as long as that is asked for.
    let single = facts(DIRECT, "eth0", &["eth0"]);
    let mut path = standing(Paths::Two, &single, start);
    path.handle_facts(&unknown(&single, None), start);
    assert_eq!(actions(&mut path), []);
    path.set_wish(Paths::Auto);
    path.handle_facts(&unknown(&single, None), start);
    assert_eq!(actions(&mut path), [Action::Close]);
}

#[test]
fn a_second_path_on_which_nothing_is_heard_is_not_called_one() {
    let start = Instant::now();
    let both = facts(DIRECT, "eth0", &["eth0", "wlan0"]);
    let mut path = standing(Paths::Auto, &both, start);
    path.handle_link(&LinkState::Disconnected, 0.0, start);
    assert_eq!(path.line().unwrap(), "Control on one path: nothing is heard on wlan0.");
    // Commands go on by it: it may be the way back alone that stands still.
    assert_eq!((actions(&mut path), path.standing()), (vec![], None));
    path.handle_facts(&both, start);
    assert_eq!(path.line().unwrap(), "Control on one path: nothing is heard on wlan0.");
    path.handle_link(&LinkState::Connected, 0.0, start);
    assert_eq!(path.line().unwrap(), "Control on two paths: eth0 and wlan0.");
    assert_eq!(path.standing(), Some(&by("wlan0")));
    // Silence for good ends it.
    path.handle_link(&LinkState::Disconnected, 0.0, start);
    path.handle_link(&FAILED, 0.0, start);
    assert_eq!(actions(&mut path), [Action::Close]);
}

#[test]
fn one_that_took_the_main_path_is_closed_and_said() {
    let start = Instant::now();
    let both = facts(DIRECT, "eth0", &["eth0", "wlan0"]);
    let mut path = standing(Paths::Auto, &both, start);
    path.handle_path(Some(DIRECT), Some(ip(1)), &both, start);
    assert_eq!(actions(&mut path), [Action::Close]);
    assert_eq!(path.line().unwrap(), "Control on one path: wlan0 turned out to be the same.");
    let single = facts(DIRECT, "eth0", &["eth0"]);
    let mut path = standing(Paths::Two, &single, start);
    path.handle_path(Some(RELAYED), Some(ip(1)), &single, start);
    assert_eq!(actions(&mut path), []);
    path.handle_path(Some(DIRECT), Some(ip(1)), &single, start);
    assert_eq!(actions(&mut path), [Action::Close]);
    path.handle_facts(&single, start + LONGEST - Duration::from_millis(1));
    assert_eq!(actions(&mut path), []);
    path.handle_facts(&single, start + LONGEST);
    assert_eq!(actions(&mut path), open(Way::Relay));
}
