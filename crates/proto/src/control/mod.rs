//! From stick to motor: commands, telemetry, events, lease, failsafe, governor, mixer and slew.
