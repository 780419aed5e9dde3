//! The table of the module, row by row, for one member.

use super::super::test::start;
use super::*;

const OWN: PeerId = PeerId::new(50);
/// The other one, towards whom this side is impolite.
const SMALL: PeerId = PeerId::new(10);
/// The other one, towards whom this side is polite.
const LARGE: PeerId = PeerId::new(90);

struct Side {
    mesh: Mesh,
    now: Instant,
}

impl Side {
    fn new() -> Self {
        Self { mesh: Mesh::new(7), now: start() }
    }

    fn joined(peers: &[PeerId]) -> (Self, Vec<Command>) {
        let mut side = Self::new();
        side.mesh.handle_joined(OWN, peers.iter().map(|id| (*id, Some("Ada"))), side.now);
        let commands = side.commands();
        (side, commands)
    }

    /// In the room with one other one, connected.
    fn linked(other: PeerId) -> (Self, ConnId) {
        let (mut side, commands) = Self::joined(&[other]);
        let conn = opened(&commands).expect("the newcomer offers");
        side.mesh.handle_link(conn, LinkChange::Connected, side.now);
        (side, conn)
    }

    fn commands(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.mesh.poll_command()).collect()
    }

    fn signal(&mut self, from: PeerId, conn: u64, kind: SignalKind) -> (Verdict, Vec<Command>) {
        let verdict = self.mesh.handle_signal(from, ConnId::new(conn), kind, self.now);
        (verdict, self.commands())
    }

    fn link(&mut self, conn: ConnId, change: LinkChange) -> Vec<Command> {
        self.mesh.handle_link(conn, change, self.now);
        self.commands()
    }

    fn pass(&mut self, ms: u64) -> Vec<Command> {
        self.now += Duration::from_millis(ms);
        self.mesh.handle_timeout(self.now);
        self.commands()
    }

    fn ids(&self) -> Vec<PeerId> {
        self.mesh.members().iter().map(|member| member.id).collect()
    }
}

fn opened(commands: &[Command]) -> Option<ConnId> {
    commands.iter().find_map(|command| match command {
        Command::Open { conn, .. } => Some(*conn),
        _ => None,
    })
}

fn answers(commands: &[Command]) -> bool {
    commands.iter().any(|command| matches!(command, Command::Open { initiative: Initiative::Answer, .. }))
}

#[test]
fn the_newcomer_offers_to_each_and_each_connection_has_its_own_id() {
    let (_, commands) = Side::joined(&[SMALL, LARGE]);
    let opens: Vec<_> = commands
        .iter()
        .filter_map(|command| match command {
            Command::Open { member, conn, initiative, manners } => {
                Some((*member, *conn, *initiative, *manners))
            }
            _ => None,
        })
        .collect();
    let [(first, a, Initiative::Offer, Manners::Impolite), (second, b, Initiative::Offer, Manners::Polite)] =
        opens[..]
    else {
        panic!("{opens:?}");
    };
    assert_eq!((first, second), (SMALL, LARGE));
    assert_ne!(a, b);
}

#[test]
fn who_was_there_before_waits_for_the_offer_and_then_offers_itself() {
    let (mut side, _) = Side::joined(&[]);
    side.mesh.handle_peer_joined(SMALL, Some("Ada"), side.now);
    assert_eq!(side.commands(), [Command::Came(SMALL)]);
    assert_eq!(side.pass(1499), []);
    assert!(opened(&side.pass(1)).is_some());
}

#[test]
fn when_both_offer_at_once_the_polite_side_takes_the_others() {
    let (mut side, _) = Side::joined(&[SMALL]);
    let (verdict, commands) = side.signal(SMALL, 1, SignalKind::Offer);
    assert_eq!((verdict, commands), (Verdict::Drop, vec![]), "impolite");

    let (mut side, commands) = Side::joined(&[LARGE]);
    let own = opened(&commands).expect("it offers");
    let (verdict, commands) = side.signal(LARGE, 1, SignalKind::Offer);
    assert_eq!(verdict, Verdict::Deliver, "polite");
    assert_eq!(commands[0], Command::Close { conn: own });
    assert!(answers(&commands));
}

#[test]
fn an_answered_offer_does_not_keep_a_later_one_away() {
    let (mut side, commands) = Side::joined(&[SMALL]);
    let own = opened(&commands).expect("it offers");
    assert_eq!(side.mesh.handle_signal(SMALL, own, SignalKind::Answer, side.now), Verdict::Deliver);
    let (verdict, commands) = side.signal(SMALL, 1, SignalKind::Offer);
    assert_eq!(verdict, Verdict::Deliver);
    assert!(answers(&commands), "the other one has started over");
}

#[test]
fn what_belongs_to_another_connection_or_a_stranger_is_dropped() {
    let (mut side, conn) = Side::linked(SMALL);
    for kind in [
        SignalKind::Answer,
        SignalKind::Candidate,
        SignalKind::CandidatesEnd,
        SignalKind::Ping,
        SignalKind::Pong,
        SignalKind::Bye,
    ] {
        assert_eq!(side.signal(SMALL, 1, kind), (Verdict::Drop, vec![]), "{kind:?}");
        assert_eq!(side.signal(LARGE, 1, kind), (Verdict::Drop, vec![]), "{kind:?}");
        assert_eq!(side.mesh.handle_signal(SMALL, conn, kind, side.now), Verdict::Deliver, "{kind:?}");
    }
}

#[test]
fn a_failed_connection_is_made_anew_with_growing_pauses_and_the_polite_side_waits_longer() {
    for (other, lead) in [(SMALL, 0), (LARGE, 700)] {
        let (mut side, mut conn) = Side::linked(other);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert_eq!(side.link(conn, LinkChange::Failed), [Command::Close { conn }]);
            let pause = side.mesh.poll_timeout().expect("it tries again") - side.now;
            let ms = pause.as_millis() as u64;
            assert_eq!(side.pass(ms - 1), []);
            let again = opened(&side.pass(1)).expect("it offers");
            assert_ne!(again, conn);
            conn = again;
            pauses.push(ms - lead);
        }
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 4000]);
        side.link(conn, LinkChange::Connected);
        assert_eq!(side.mesh.members()[0].attempts, 0);
    }
}

#[test]
fn a_connection_outlives_the_server_and_the_others_session_there() {
    let (mut side, conn) = Side::linked(SMALL);
    side.mesh.handle_server_lost();
    assert_eq!(side.pass(600_000), []);
    side.mesh.handle_joined(PeerId::new(51), [], side.now);
    assert_eq!(side.commands(), []);
    side.mesh.handle_peer_left(SMALL, Departure::Lost, side.now);
    assert_eq!(side.commands(), []);
    assert_eq!(side.mesh.members()[0].link.conn(), Some(conn));
}

#[test]
fn whoever_leaves_is_removed_however_it_is_told() {
    for how in 0..3 {
        let (mut side, conn) = Side::linked(SMALL);
        match how {
            0 => side.mesh.handle_goodbye(conn),
            1 => side.mesh.handle_peer_left(SMALL, Departure::Meant, side.now),
            _ => {
                side.mesh.handle_server_lost();
                side.link(conn, LinkChange::Failed);
                side.mesh.handle_joined(OWN, [], side.now);
                assert_eq!(side.pass(59_999), []);
                assert_eq!(side.pass(1), [Command::Gone(SMALL)]);
                continue;
            }
        }
        assert_eq!(side.commands(), [Command::Close { conn }, Command::Gone(SMALL)]);
        assert_eq!(side.mesh.poll_timeout(), None);
    }
}

#[test]
fn without_the_server_nobody_is_sought_and_with_it_at_once() {
    let (mut side, conn) = Side::linked(SMALL);
    side.mesh.handle_server_lost();
    side.link(conn, LinkChange::Failed);
    assert_eq!(side.mesh.poll_timeout(), None);
    assert_eq!(side.pass(300_000), []);
    side.mesh.handle_resumed(side.now);
    assert!(opened(&side.pass(0)).is_some());
}

#[test]
fn a_member_with_a_new_id_keeps_its_place_if_its_connection_says_so() {
    let (mut side, conn) = Side::linked(SMALL);
    let new = PeerId::new(60);
    side.mesh.handle_server_lost();
    side.mesh.handle_joined(PeerId::new(51), [(new, Some("Ada"))], side.now);
    assert_eq!(side.commands(), [Command::Came(new)], "somebody, whom this side does not offer to yet");
    side.pass(2999);
    side.mesh.handle_introduction(conn, new);
    assert_eq!(
        side.commands(),
        [Command::Gone(new), Command::Renamed { from: SMALL, to: new, by: Mark::Connection }]
    );
    assert_eq!(side.ids(), [new]);
    assert_eq!(side.mesh.members()[0].presence, Presence::Here);
    assert_eq!(side.pass(10_000), []);
}

#[test]
fn nobody_takes_the_place_of_one_who_was_there_before() {
    let (mut side, commands) = Side::joined(&[SMALL, LARGE]);
    let [first, second] = [0, 1].map(|n| {
        let mut opens = commands.iter().filter_map(|command| opened(std::slice::from_ref(command)));
        opens.nth(n).expect("it offers to both")
    });
    for conn in [first, second] {
        side.link(conn, LinkChange::Connected);
    }
    side.mesh.handle_introduction(first, LARGE);
    side.mesh.handle_introduction(first, OWN);
    side.now += Duration::from_secs(1);
    side.mesh.handle_peer_left(SMALL, Departure::Lost, side.now);
    side.mesh.handle_introduction(first, LARGE);
    assert_eq!(side.commands(), []);
    assert_eq!(side.ids(), [SMALL, LARGE]);
}

#[test]
fn a_member_whom_the_server_lists_keeps_its_id_whatever_it_says() {
    let (mut side, conn) = Side::linked(SMALL);
    for number in 0..20 {
        side.mesh.handle_introduction(conn, PeerId::new(1000 + number));
    }
    assert_eq!((side.commands(), side.ids()), (vec![], vec![SMALL]));
    side.mesh.handle_peer_joined(LARGE, Some("Bob"), side.now);
    assert_eq!(side.commands(), [Command::Came(LARGE)], "there is room");
    side.mesh.handle_peer_left(SMALL, Departure::Meant, side.now);
    assert_eq!(side.commands(), [Command::Close { conn }, Command::Gone(SMALL)], "put out is out");

    let (mut side, conn) = Side::linked(SMALL);
    side.mesh.handle_introduction(conn, PeerId::new(1000));
    side.mesh.handle_peer_left(SMALL, Departure::Lost, side.now);
    assert_eq!((side.commands(), side.ids()), (vec![], vec![SMALL]), "the server knows no such id");
    side.mesh.put_out(SMALL);
    assert_eq!(side.commands(), [Command::Close { conn }, Command::Gone(SMALL)]);
}

#[test]
fn what_a_member_says_before_the_server_counts_once_the_server_says_it_too() {
    let new = PeerId::new(60);
    for how in 0..3 {
        let (mut side, conn) = Side::linked(SMALL);
        side.mesh.handle_introduction(conn, new);
        if how == 0 {
            side.mesh.handle_server_lost();
            side.mesh.handle_joined(PeerId::new(51), [(new, Some("Ada"))], side.now);
        } else {
            side.mesh.handle_peer_left(SMALL, Departure::Lost, side.now);
            match how {
                1 => side.mesh.handle_peer_joined(new, Some("Ada"), side.now),
                _ => drop(side.mesh.handle_signal(new, conn, SignalKind::Offer, side.now)),
            }
        }
        assert_eq!(side.commands(), [Command::Renamed { from: SMALL, to: new, by: Mark::Connection }]);
        assert_eq!(side.mesh.members()[0].link.conn(), Some(conn));
        assert_eq!(side.pass(600_000), []);
    }
}

#[test]
fn whoever_is_connected_and_lost_to_the_server_is_put_out_after_a_minute_with_the_server() {
    let (mut side, conn) = Side::linked(SMALL);
    side.mesh.handle_peer_left(SMALL, Departure::Lost, side.now);
    side.pass(30_000);
    side.mesh.handle_server_lost();
    assert_eq!(side.pass(600_000), [], "away from everybody");
    side.mesh.handle_resumed(side.now);
    assert_eq!(side.pass(59_999), []);
    assert_eq!(side.mesh.poll_timeout(), Some(side.now + Duration::from_millis(1)));
    assert_eq!(side.pass(1), [Command::Close { conn }, Command::Gone(SMALL)]);
}

#[test]
fn an_id_that_two_say_to_have_is_neithers() {
    let (mut side, commands) = Side::joined(&[SMALL, LARGE]);
    let conns: Vec<_> = commands.iter().filter_map(|command| opened(std::slice::from_ref(command))).collect();
    let new = PeerId::new(60);
    for conn in &conns {
        side.link(*conn, LinkChange::Connected);
        side.mesh.handle_introduction(*conn, new);
    }
    side.mesh.handle_joined(OWN, [(new, Some("Ada"))], side.now);
    assert_eq!(side.commands(), [Command::Came(new)]);
}

#[test]
fn a_name_hides_nothing() {
    let mut side = Side::new();
    side.mesh.handle_joined(OWN, [(SMALL, Some(" A\u{202e}d\u{2066}a\u{2028}\n"))], side.now);
    assert_eq!(side.mesh.members()[0].name.as_deref(), Some("Ada"));
    side.mesh.handle_peer_joined(SMALL, Some("\u{202e} "), side.now);
    assert_eq!(side.mesh.members()[0].name.as_deref(), Some("Ada"), "none leaves the one before");
}

#[test]
fn a_member_without_a_connection_is_known_by_its_name() {
    let (mut side, conn) = Side::linked(SMALL);
    side.mesh.handle_server_lost();
    side.link(conn, LinkChange::Failed);
    side.mesh.handle_joined(OWN, [], side.now);
    side.mesh.handle_peer_joined(LARGE, Some("Bob"), side.now);
    assert_eq!(side.commands(), [Command::Came(LARGE)]);
    let new = PeerId::new(60);
    side.mesh.handle_peer_joined(new, Some("Ada"), side.now);
    assert_eq!(side.commands(), [Command::Renamed { from: SMALL, to: new, by: Mark::Name }]);
    assert_eq!(side.ids(), [new, LARGE]);
}

#[test]
fn of_two_connections_between_the_same_two_the_one_with_the_smaller_id_stays() {
    for (second, stays) in [(0, 0), (u64::MAX, 1)] {
        let (mut side, first) = Side::linked(SMALL);
        let new = PeerId::new(60);
        let second = ConnId::new(second);
        side.mesh.handle_joined(PeerId::new(51), [(new, None)], side.now);
        side.mesh.handle_signal(new, second, SignalKind::Offer, side.now);
        side.mesh.handle_link(second, LinkChange::Connected, side.now);
        side.commands();
        side.mesh.handle_introduction(first, new);
        let both = [second, first];
        assert_eq!(side.mesh.members()[0].link.conn(), Some(both[stays]));
        let closed = Command::Close { conn: both[1 - stays] };
        match stays {
            // What belongs to the connection that stays is left alone.
            0 => assert_eq!(side.commands(), [closed, Command::Gone(SMALL)]),
            _ => assert_eq!(
                side.commands(),
                [closed, Command::Gone(new), Command::Renamed { from: SMALL, to: new, by: Mark::Connection }]
            ),
        }
        assert_eq!(side.ids(), [new]);
    }
}

#[test]
fn a_full_call_takes_nobody_in() {
    let peers: Vec<_> = (0..9).map(PeerId::new).collect();
    let (mut side, _) = Side::joined(&peers);
    assert_eq!(side.ids().len(), OTHERS_MAX);
    assert_eq!(side.signal(LARGE, 1, SignalKind::Offer), (Verdict::Drop, vec![]));
    side.mesh.handle_peer_joined(LARGE, None, side.now);
    assert_eq!(side.ids().len(), OTHERS_MAX);
}
