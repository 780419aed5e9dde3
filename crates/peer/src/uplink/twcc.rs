//! Reads transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

use farwheel_proto::rate::{ReceiverTime, Reported};
use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, SymbolTypeTcc, TransportLayerCc,
};

/// Unit of the reference time in µs, and the number of its values.
const REFERENCE_US: i64 = 64_000;
const REFERENCES: i64 = 1 << 24;

/// Undoes the wrap of the reference time: 12 days at 64 ms.
#[derive(Debug, Default)]
pub(super) struct Reader {
    reference: Option<i64>,
}

impl Reader {
    /// What a report says of each packet. A peer's claims are bounded by the 16 bits of its own packet count.
    pub(super) fn read(&mut self, feedback: &TransportLayerCc) -> Vec<Reported> {
        let mut arrival_us = self.unwrap(feedback.reference_time) * REFERENCE_US;
        let mut deltas = feedback.recv_deltas.iter();
        let symbols = feedback.packet_chunks.iter().flat_map(|chunk| {
            let (run, list) = match chunk {
                PacketStatusChunk::RunLengthChunk(run) => {
                    (Some(std::iter::repeat_n(run.packet_status_symbol, usize::from(run.run_length))), None)
                }
                PacketStatusChunk::StatusVectorChunk(vector) => {
                    (None, Some(vector.symbol_list.iter().copied()))
                }
            };
            run.into_iter().flatten().chain(list.into_iter().flatten())
        });
        (0..feedback.packet_status_count)
            .zip(symbols)
            .map(|(n, symbol)| {
                let arrival = match symbol {
                    SymbolTypeTcc::PacketReceivedSmallDelta | SymbolTypeTcc::PacketReceivedLargeDelta => {
                        deltas.next().map(|delta| {
                            arrival_us = arrival_us.saturating_add(delta.delta);
                            ReceiverTime::from_us(arrival_us)
                        })
                    }
                    SymbolTypeTcc::PacketNotReceived | SymbolTypeTcc::PacketReceivedWithoutDelta => None,
                };
                Reported { number: feedback.base_sequence_number.wrapping_add(n), arrival }
            })
            .collect()
    }

    fn unwrap(&mut self, reference: u32) -> i64 {
        let reference = i64::from(reference) % REFERENCES;
        let unwrapped = self.reference.map_or(reference, |last| {
            // The nearest one to the last.
            let delta = (reference - last).rem_euclid(REFERENCES);
            last + if delta < REFERENCES / 2 { delta } else { delta - REFERENCES }
        });
        self.reference = Some(unwrapped);
        unwrapped
    }
}

#[cfg(test)]
mod tests {
    use rtc::rtcp::transport_feedbacks::transport_layer_cc::{
        RecvDelta, RunLengthChunk, StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc,
    };

    use super::*;

    fn run(symbol: SymbolTypeTcc, length: u16) -> PacketStatusChunk {
        PacketStatusChunk::RunLengthChunk(RunLengthChunk {
            type_tcc: StatusChunkTypeTcc::RunLengthChunk,
            packet_status_symbol: symbol,
            run_length: length,
        })
    }

    fn delta(us: i64) -> RecvDelta {
        RecvDelta { type_tcc_packet: SymbolTypeTcc::PacketReceivedSmallDelta, delta: us }
    }

    fn feedback(
        reference: u32,
        count: u16,
        chunks: Vec<PacketStatusChunk>,
        deltas: &[i64],
    ) -> TransportLayerCc {
        TransportLayerCc {
            base_sequence_number: 65_535,
            packet_status_count: count,
            reference_time: reference,
            packet_chunks: chunks,
            recv_deltas: deltas.iter().map(|us| delta(*us)).collect(),
            ..Default::default()
        }
    }

    fn read(reader: &mut Reader, feedback: &TransportLayerCc) -> Vec<(u16, Option<i64>)> {
        reader.read(feedback).iter().map(|r| (r.number, r.arrival.map(ReceiverTime::as_us))).collect()
    }

    #[test]
    fn arrivals_add_up_and_numbers_wrap() {
        use SymbolTypeTcc::{PacketNotReceived, PacketReceivedLargeDelta, PacketReceivedSmallDelta};
        let vector = PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
            type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
            symbol_size: SymbolSizeTypeTcc::TwoBit,
            symbol_list: vec![PacketNotReceived, PacketReceivedLargeDelta, PacketReceivedSmallDelta],
        });
        let report = feedback(1, 4, vec![run(PacketReceivedSmallDelta, 1), vector], &[250, -1000, 500]);
        assert_eq!(
            read(&mut Reader::default(), &report),
            [(65_535, Some(64_250)), (0, None), (1, Some(63_250)), (2, Some(63_750))]
        );
    }

    #[test]
    fn the_reference_time_goes_on_over_its_wrap_and_back() {
        let mut reader = Reader::default();
        let mut at = |reference| {
            let report = feedback(reference, 1, vec![run(SymbolTypeTcc::PacketReceivedSmallDelta, 1)], &[0]);
            read(&mut reader, &report)[0].1.unwrap() / REFERENCE_US
        };
        let last = (REFERENCES - 1) as u32;
        assert_eq!(
            [at(last), at(0), at(5), at(last)],
            [REFERENCES - 1, REFERENCES, REFERENCES + 5, REFERENCES - 1]
        );
    }

    #[test]
    fn a_report_that_claims_too_much_is_cut_and_one_that_lacks_its_times_tells_none() {
        let chunks = vec![run(SymbolTypeTcc::PacketReceivedSmallDelta, 8191); 100];
        let told = read(&mut Reader::default(), &feedback(7, u16::MAX, chunks, &[1]));
        assert_eq!(told.len(), usize::from(u16::MAX));
        assert_eq!(told.iter().filter(|(_, arrival)| arrival.is_some()).count(), 1);
        assert_eq!(read(&mut Reader::default(), &feedback(7, 3, vec![], &[1])), []);
    }
}
