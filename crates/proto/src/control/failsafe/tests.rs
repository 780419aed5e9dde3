//! Table tests of the failsafe.
