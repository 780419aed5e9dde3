//! H.264 over RTP: depacketiser and frame assembler.
