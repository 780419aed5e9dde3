//! The page on which two meet without a room: by a code that both give, or by letters that people carry.

/// What has become of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// How far the two are.
    pub phase: Phase,
    /// What was said, oldest first.
    pub lines: Vec<Line>,
}

/// How far two are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nobody is sought.
    #[default]
    Idle,
    /// Something is under way, in a few words.
    Busy(&'static str),
    /// At the server, alone so far.
    Waiting {
        /// The code that the other one has to give.
        code: String,
    },
    /// The offer lies ready to be carried to the other one, whose answer is wanted.
    Offer {
        /// The offer.
        letter: String,
        /// What is wrong with what was given for its answer.
        problem: Option<String>,
    },
    /// The answer lies ready to be carried back.
    Answer {
        /// The answer.
        letter: String,
    },
    /// The two can talk.
    Together {
        /// The other one's name, if it gave one.
        name: String,
        /// What lines travel over.
        way: Way,
    },
    /// Over, or not begun: why, in words.
    Over(String),
}

/// What lines travel over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Nothing at present: they are kept.
    #[default]
    None,
    /// The server, which can read them.
    Server,
    /// A connection between the two.
    Direct,
}

/// Something said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Who said it.
    pub from: Speaker,
    /// What.
    pub text: String,
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// This side.
    Own,
    /// The other one.
    Other,
}

/// What the page asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Meet the one who gives the same code.
    Meet {
        /// Address of the server.
        server: String,
        /// Its token; empty: none.
        token: String,
        /// The code; empty: one is made up.
        code: String,
    },
    /// Make an offer to be carried.
    Offer,
    /// Answer this offer.
    Answer(String),
    /// Take this answer to the own offer.
    Accept(String),
    /// Say this.
    Say(String),
    /// Give it up, or leave.
    Leave,
}
