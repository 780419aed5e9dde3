//! Robots and apps behind every pair of address translations and firewalls, each pair by the best way there is.

use std::collections::HashMap;
use std::time::Duration;

use farwheel_lab::nat::{Internet, Kind, Meeting, Programs, Site, Stage, Way, obstacle};
use tempfile::TempDir;

use farwheel_lab::program::binary;

#[test]
fn every_pair_of_nats_connects_by_its_best_way() {
    let Some(scene) = Scene::new("fwnm", &Kind::MATRIX) else { return };
    let meetings = scene.meet_all(&Kind::MATRIX);
    for meeting in &meetings {
        println!(
            "{:>18} {:>18} {:5.2} s  {}",
            meeting.robot.name(),
            meeting.app.name(),
            meeting.first_picture.as_secs_f64(),
            meeting.way
        );
    }
    assert_eq!(meetings.len(), 25);
    let wrong: Vec<_> = meetings.iter().filter(|meeting| !is_best(meeting)).collect();
    assert!(wrong.is_empty(), "not by the best way: {wrong:#?}");
}

#[test]
fn without_a_nat_addresses_of_the_hosts_are_used_and_tls_passes_where_nothing_else_does() {
    let kinds = [Kind::Open, Kind::FullCone, Kind::TlsOnly];
    let Some(scene) = Scene::new("fwnt", &kinds) else { return };
    let meetings = scene.meet_all(&kinds);
    let way = |robot, app| {
        let found = meetings.iter().find(|meeting| (meeting.robot, meeting.app) == (robot, app));
        found.unwrap_or_else(|| panic!("{robot} and {app} did not meet")).way.clone()
    };
    let tls = || Some("TLS".to_owned());
    // A check that is here before the candidate that tells of its address makes it a peer reflexive one
    // (RFC 8445 section 7.3.1.3); no address is translated, so that is the host's own.
    let open = way(Kind::Open, Kind::Open);
    assert!(
        matches!(&open, Way::Direct(pair) if pair.contains("host") && !pair.contains("server")),
        "{open:?}"
    );
    assert_eq!(way(Kind::TlsOnly, Kind::Open), Way::Relayed(tls(), None));
    assert_eq!(way(Kind::Open, Kind::TlsOnly), Way::Relayed(None, tls()));
    assert_eq!(way(Kind::TlsOnly, Kind::FullCone), Way::Relayed(tls(), None));
    assert_eq!(way(Kind::FullCone, Kind::TlsOnly), Way::Relayed(None, tls()));
    assert_eq!(way(Kind::TlsOnly, Kind::TlsOnly), Way::Relayed(tls(), tls()));
}

#[test]
fn the_doctor_names_what_it_is_behind() {
    let kinds = [
        Kind::Open,
        Kind::FullCone,
        Kind::AddressRestricted,
        Kind::PortRestricted,
        Kind::Symmetric,
        Kind::NoUdp,
        Kind::TlsOnly,
    ];
    let Some(scene) = Scene::without_robots("fwnd", &kinds) else { return };
    std::thread::scope(|scope| {
        let looks = kinds.map(|kind| {
            let (stage, site) = (&scene.stage, &scene.sites[&kind]);
            (kind, scope.spawn(move || stage.diagnose(site).unwrap()))
        });
        for (kind, look) in looks {
            let said = look.join().unwrap();
            println!("{kind}: {} {}", said["what"], said["expect"]);
            let (nat, relay) = match kind {
                Kind::NoUdp => ("no-udp", "TCP"),
                Kind::TlsOnly => ("no-udp", "TLS"),
                _ => (kind.name(), "UDP"),
            };
            assert_eq!((&said["nat"], &said["relay_over"]), (&nat.into(), &relay.into()), "behind {kind}");
        }
    });
}

#[test]
fn a_robot_that_moves_to_another_network_is_there_again_by_itself() {
    let Some(Scene { stage, sites, mut internet, _folder }) = Scene::new("fwnr", &[Kind::Open]) else {
        return;
    };
    let figures = stage.meet_and_roam(Kind::Open, &sites[&Kind::Open], &mut internet).unwrap();
    println!("pictures were {} ms late in all", figures["stall_ms"]);
    // Far less than a new connection after 8 s of silence would take.
    assert!(figures["stall_ms"].as_f64().is_some_and(|stall_ms| stall_ms < 6000.0), "{figures}");
    assert_eq!(figures["connections"], 1, "{figures}");
}

/// The best that can be had: direct wherever packets can be made to pass both translations, else a relay that each side
/// reaches by the best transport it has.
fn is_best(meeting: &Meeting) -> bool {
    use Kind::{NoUdp, PortRestricted, Symmetric};
    let tcp = || Some("TCP".to_owned());
    match (meeting.robot, meeting.app) {
        (NoUdp, NoUdp) => meeting.way == Way::Relayed(tcp(), tcp()),
        (NoUdp, _) => meeting.way == Way::Relayed(tcp(), None),
        (_, NoUdp) => meeting.way == Way::Relayed(None, tcp()),
        // Neither can know from which port the other's packets will come.
        (Symmetric, Symmetric | PortRestricted) | (PortRestricted, Symmetric) => match &meeting.way {
            Way::Relayed(robot, app) => {
                [robot, app].iter().all(|way| way.as_deref().is_none_or(|way| way == "UDP"))
            }
            Way::Direct(_) => false,
        },
        // One address at least is what a translation made of it.
        _ => matches!(&meeting.way, Way::Direct(pair) if pair.contains("reflexive")),
    }
}

struct Scene {
    stage: Stage,
    sites: HashMap<Kind, Site>,
    // Dropped last: the programs are in it.
    internet: Internet,
    _folder: TempDir,
}

impl Scene {
    /// An internet with a robot and a place for an app behind each kind; none where namespaces cannot be made.
    fn new(prefix: &str, kinds: &[Kind]) -> Option<Self> {
        let mut scene = Self::without_robots(prefix, kinds)?;
        for kind in kinds {
            let site = scene.internet.attach(*kind).unwrap();
            scene.stage.add_robot(site).unwrap();
        }
        Some(scene)
    }

    fn without_robots(prefix: &str, kinds: &[Kind]) -> Option<Self> {
        if let Some(obstacle) = obstacle() {
            println!("SKIPPED: {obstacle}");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let programs = Programs::within(binary("farwheel").parent().unwrap()).unwrap();
        let mut internet =
            Internet::build(&format!("{prefix}{}", std::process::id()), Duration::ZERO).unwrap();
        let stage = Stage::open(&internet, programs, folder.path()).unwrap();
        let sites = kinds.iter().map(|kind| (*kind, internet.attach(*kind).unwrap())).collect();
        Some(Self { stage, sites, internet, _folder: folder })
    }

    /// One app at each site at the same time, each with another robot; then each with the next one.
    fn meet_all(&self, kinds: &[Kind]) -> Vec<Meeting> {
        let mut meetings = Vec::new();
        for round in 0..kinds.len() {
            let pairs = kinds.iter().enumerate().map(|(n, app)| (kinds[(n + round) % kinds.len()], app));
            std::thread::scope(|scope| {
                let running: Vec<_> = pairs
                    .map(|(robot, app)| scope.spawn(move || self.stage.meet(robot, &self.sites[app])))
                    .collect();
                for one in running {
                    let met = one.join().unwrap();
                    meetings.push(met.unwrap_or_else(|error| panic!("{error:#}")));
                }
            });
        }
        meetings
    }
}
