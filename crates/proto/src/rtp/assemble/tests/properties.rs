//! What holds whatever the network does.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    Late(u8),
    LateTwice(u8),
}

proptest! {
    /// Whatever the network does short of forging, each picture handed over is bit for bit one that was sent, in
    /// order, and never one whose predecessor is missing; and once the network behaves, pictures come again.
    #[test]
    fn only_true_and_decodable_pictures_come_out(
        fates in prop::collection::vec(fate(), 60..400),
        sizes in prop::collection::vec(1_usize..6000, 60),
        repairs in any::<bool>(),
        rtt in 0_u64..400,
        first_sequence in any::<u16>(),
    ) {
        let mut rig = Rig::new();
        rig.number = u64::from(first_sequence) + (1 << 16);
        rig.assembler.set_rtt(MS * rtt as u32);
        let mut fates = fates.into_iter();
        let mut due: BTreeMap<(u64, u64), Packet> = BTreeMap::new();
        let (mut order, mut key_wanted, mut sent) = (0, true, Vec::<Packet>::new());
        let clean = [500; 20];
        for (n, &size) in sizes.iter().chain(&clean).enumerate() {
            let kind = if key_wanted { FrameKind::Key } else { FrameKind::Delta };
            key_wanted = false;
            let base = rig.now_ms();
            for packet in rig.picture(kind, size) {
                sent.push(packet.clone());
                let fate = if n < sizes.len() { fates.next() } else { None };
                let arrivals = match fate.unwrap_or(Fate::Arrives) {
                    Fate::Arrives => vec![0],
                    Fate::Lost => vec![],
                    Fate::Twice => vec![0, 0],
                    Fate::Late(by) => vec![by],
                    Fate::LateTwice(by) => vec![0, by],
                };
                for late in arrivals {
                    order += 1;
                    due.insert((base + u64::from(late), order), packet.clone());
                }
            }
            let until = base + 33;
            while rig.now_ms() < until {
                while let Some((&(at, id), _)) = due.first_key_value() && at <= rig.now_ms() {
                    let packet = due.remove(&(at, id)).expect("it is the first");
                    rig.give(&packet);
                }
                let (asked, keys) = (std::mem::take(&mut rig.nacks), std::mem::take(&mut rig.keyframe_requests));
                key_wanted |= keys > 0;
                for sequence in asked.into_iter().filter(|_| repairs) {
                    if let Some(packet) = sent.iter().rev().find(|packet| packet.sequence == sequence) {
                        order += 1;
                        due.insert((rig.now_ms() + rtt.max(1), order), packet.clone());
                    }
                }
                let next = rig.now_ms() + 1;
                rig.at(next);
            }
        }
        for pair in rig.frames.windows(2) {
            prop_assert!(pair[1] > pair[0], "out of order: {:?}", rig.frames);
            prop_assert!(
                pair[1] == pair[0] + 1 || rig.sent[pair[1]].0 == FrameKind::Key,
                "{} leans on a picture that was not handed over: {:?}", pair[1], rig.frames
            );
        }
        if let Some(&first) = rig.frames.first() {
            prop_assert_eq!(rig.sent[first].0, FrameKind::Key);
        }
        prop_assert_eq!(rig.frames.last().copied(), Some(rig.sent.len() - 1), "the stream came back");
    }

    #[test]
    fn no_packet_panics(
        packets in prop::collection::vec(
            (any::<u16>(), any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..12), 0_u64..200), 0..200,
        ),
        close in any::<bool>(),
    ) {
        let mut rig = Rig::new();
        for (sequence, time, marker, payload, wait) in packets {
            let sequence = if close { sequence % 64 } else { sequence };
            let media_time = MediaTime(if close { time % 4 } else { time });
            let at = rig.now_ms() + wait;
            let packet = Packet { sequence, media_time, marker, payload: payload.into() };
            rig.at(at);
            rig.assembler.handle_packet(packet, rig.now);
            while rig.assembler.poll_command().is_some() {}
        }
    }
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Arrives),
        2 => Just(Fate::Lost),
        1 => Just(Fate::Twice),
        2 => (1_u8..150).prop_map(Fate::Late),
        1 => (1_u8..150).prop_map(Fate::LateTwice),
    ]
}
