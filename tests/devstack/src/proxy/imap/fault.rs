//! What can go wrong with one command.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Trouble with one command and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before the server hears of the command.
    CutBefore,
    /// The server carries the command out, and the connection ends before the client hears anything of it.
    CutAnswer,
    /// The connection ends before the tagged end of the answer; all that precedes it arrives.
    CutBeforeEnd,
    /// The connection ends within the answer's first literal, after so many bytes of it.
    CutInLiteral(usize),
    /// The server does not hear of the command until [`release`](super::ImapProxy::release), and never if the
    /// client goes before.
    Stall,
    /// The server carries the command out, and the client does not hear of it until
    /// [`release`](super::ImapProxy::release).
    StallAnswer,
    /// The server does not hear of the command, and the client hears this: lines, in the last of which `{tag}`
    /// stands for the command's tag.
    Answer(&'static str),
    /// The server carries the command out, and this line comes before the tagged end of its answer.
    Inject(&'static str),
}

/// A fault that waits for its command.
#[derive(Debug)]
struct Rule {
    /// How the command begins, without its tag.
    command: &'static str,
    /// How many such commands go well before.
    before: usize,
    fault: Fault,
}

/// What all connections of a proxy share: the faults to come, the words to hide, and what clients said.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Mutex<Vec<Rule>>,
    hidden: Mutex<Vec<&'static str>>,
    commands: Mutex<Vec<String>>,
}

impl Script {
    pub(super) fn add(&self, command: &'static str, before: usize, fault: Fault) {
        lock(&self.rules).push(Rule { command, before, fault });
    }

    pub(super) fn clear(&self) {
        lock(&self.rules).clear();
    }

    pub(super) fn hide(&self, capabilities: &[&'static str]) {
        lock(&self.hidden).extend(capabilities);
    }

    pub(super) fn commands(&self) -> Vec<String> {
        lock(&self.commands).clone()
    }

    /// Takes note of a command and gives the fault that was waiting for it. Each comes once.
    pub(super) fn hears(&self, command: &str) -> Option<Fault> {
        lock(&self.commands).push(command.to_owned());
        let mut rules = lock(&self.rules);
        let mut due = None;
        let meant = |(_, rule): &(usize, &mut Rule)| command.starts_with(rule.command);
        for (at, rule) in rules.iter_mut().enumerate().filter(meant) {
            match rule.before.checked_sub(1) {
                Some(before) => rule.before = before,
                None => due = due.or(Some(at)),
            }
        }
        due.map(|at| rules.remove(at).fault)
    }

    /// A server's line without the capabilities that are hidden.
    pub(super) fn censor(&self, line: Vec<u8>) -> Vec<u8> {
        let hidden = lock(&self.hidden);
        let names_capabilities = line.windows(10).any(|window| window == b"CAPABILITY");
        if hidden.is_empty() || !names_capabilities {
            return line;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        let words = text.trim_end().split(' ').filter_map(|word| {
            let (name, end) = word.strip_suffix(']').map_or((word, ""), |name| (name, "]"));
            if hidden.contains(&name) {
                (!end.is_empty()).then(|| end.to_owned())
            } else {
                Some(word.to_owned())
            }
        });
        (words.collect::<Vec<_>>().join(" ") + "\r\n").into_bytes()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
