//! What happens in a run, drawn from its seed before it begins.

use devstack::Chance;
use std::time::Duration;

use postroom::step::Step;

use crate::mail::{Mail, Writer};

/// A run: round by round, mail arrives and a worker is struck down.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: Vec<Round>,
}

#[derive(Debug)]
pub(crate) struct Round {
    /// There when the worker starts.
    pub(crate) before: Vec<Mail>,
    /// Arriving while it works.
    pub(crate) meanwhile: Vec<Mail>,
    pub(crate) blow: Blow,
}

/// What befalls the worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blow {
    /// It takes itself down when it gets to a step for the n-th time.
    Step(Step, u32),
    /// SIGKILL.
    Kill(When),
    /// SIGTERM, after which it has to end in order.
    Terminate(When),
    /// SIGKILL to one of two workers, the elder or the younger. The other one ends by SIGTERM.
    OneOfTwo { when: When, elder: bool },
    /// It is stopped for longer than its leases last, another worker takes over, and it goes on.
    Suspend(When),
    /// SIGKILL to Dovecot, which is started again.
    Dovecot(When),
    /// SIGKILL to PostgreSQL, which is started again.
    Postgres(When),
}

/// A moment in the middle of the work: that much progress, and then a little later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct When {
    pub(crate) progress: Progress,
    pub(crate) later: Duration,
}

/// Progress since the round began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The process runs.
    Started,
    /// It has got into a mailbox.
    LoggedIn,
    /// So many messages are stored.
    Recorded(u64),
    /// So many messages have left their mailbox, by the ledger.
    Settled(u64),
    /// So many requests have come to the helpdesks.
    Sent(u64),
    /// It has got into a mailbox, and whatever was stored before has left its mailbox.
    TookOver,
}

impl Plan {
    pub(crate) fn draw(seed: u64, kills: usize) -> Self {
        let mut chance = Chance::of(seed);
        let mut writer = Writer::default();
        let rounds = (0..kills).map(|_| Round::draw(&mut chance, &mut writer)).collect();
        Self { rounds }
    }
}

impl Round {
    fn draw(chance: &mut Chance, writer: &mut Writer) -> Self {
        let mut batch = |at_least: u64| -> Vec<Mail> {
            let count = at_least + chance.below(8);
            (0..count).flat_map(|_| writer.write(chance)).collect()
        };
        let (before, meanwhile) = (batch(5), batch(3));
        Self { before, meanwhile, blow: Blow::draw(chance) }
    }
}

impl Blow {
    fn draw(chance: &mut Chance) -> Self {
        match chance.below(24) {
            0..10 => {
                let step = Step::OF_MAIL[chance.index(Step::OF_MAIL.len())];
                let passes = match step {
                    Step::BeforeSend | Step::AfterAnswer => 12,
                    Step::BeforeSettle | Step::AfterSettle => 2,
                    _ => 4,
                };
                Self::Step(step, 1 + u32::try_from(chance.below(passes)).unwrap())
            }
            10..18 => Self::Kill(When::draw(chance)),
            18 | 19 => Self::OneOfTwo { when: When::draw(chance), elder: chance.one_in(2) },
            20 => Self::Suspend(When::draw(chance)),
            21 => Self::Terminate(When::draw(chance)),
            22 => Self::Dovecot(When::draw(chance)),
            _ => Self::Postgres(When::draw(chance)),
        }
    }

    /// Its name in the summary.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Step(..) => "itself at a step",
            Self::Kill(_) => "worker",
            Self::Terminate(_) => "worker by SIGTERM",
            Self::OneOfTwo { .. } => "one of two workers",
            Self::Suspend(_) => "suspended worker and its successor",
            Self::Dovecot(_) => "Dovecot",
            Self::Postgres(_) => "PostgreSQL",
        }
    }
}

impl When {
    fn draw(chance: &mut Chance) -> Self {
        let (progress, most) = match chance.below(10) {
            0 => (Progress::Started, 150),
            1 | 2 => (Progress::LoggedIn, 60),
            3..6 => (Progress::Recorded(1 + chance.below(8)), 30),
            6 | 7 => (Progress::Settled(1 + chance.below(8)), 30),
            _ => (Progress::Sent(1 + chance.below(16)), 30),
        };
        Self { progress, later: Duration::from_micros(chance.below(most * 1_000)) }
    }
}
