//! Reading the other one's letter with the camera.

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// What is wrong with the code that the camera sees, or with the camera.
    pub problem: Option<String>,
}

/// Whose letter is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// That of the one to call.
    Call,
    /// That of the one to write to.
    Pair,
}

/// What the window asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Look for a letter; it is taken as if it had been pasted.
    Begin(Aim),
    /// Look no longer.
    End,
}
