//! What all connections share, and what becomes of each line that a client sends.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::accounts::Accounts;
use super::answer::{Answer, Awaited, Last};
use super::command::Command;
use super::habits::Habits;
use super::mailbox::Mailbox;
use super::reaction::Reaction;
use super::session::{Event, Session};

/// Decides on a command before it is obeyed, and may change the mailbox on that occasion.
pub(super) type Script = Box<dyn FnMut(&Command, &mut Mailbox) -> Option<Reaction> + Send>;

pub(super) struct State {
    pub(super) accounts: Accounts,
    pub(super) habits: Habits,
    pub(super) scripts: Vec<Script>,
    pub(super) commands: Vec<Command>,
    /// When each connection was taken.
    pub(super) connections: Vec<Instant>,
    /// How many connections are open, …
    open: usize,
    /// … and how many were at most.
    pub(super) most_open: usize,
}

/// What goes to the client, and what becomes of the connection.
pub(super) struct Reply {
    pub(super) bytes: Vec<u8>,
    pub(super) then: Then,
}

#[derive(PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    Close,
    FallSilent,
}

impl State {
    pub(super) fn new(habits: Habits, accounts: Accounts) -> Self {
        Self {
            accounts,
            habits,
            scripts: Vec::new(),
            commands: Vec::new(),
            connections: Vec::new(),
            open: 0,
            most_open: 0,
        }
    }

    pub(super) fn opened(&mut self) {
        self.connections.push(Instant::now());
        self.open += 1;
        self.most_open = self.most_open.max(self.open);
    }

    pub(super) fn closed(&mut self) {
        self.open -= 1;
    }

    /// Asks the scripts about a command, obeys it if they let it be, and answers.
    pub(super) fn react(&mut self, mut command: Command, session: &mut Session) -> Reply {
        command.uidvalidity = session.uidvalidity();
        self.commands.push(command.without_credentials());
        let user = session.user().unwrap_or(&self.accounts.user).to_owned();
        let mailbox = self.accounts.mailbox(&user);
        let reaction = self.scripts.iter_mut().rev().find_map(|script| script(&command, mailbox));
        let mut obeyed = || session.obey(&command, &mut self.accounts, &self.habits);
        let mut then = None;
        let mut cut = usize::MAX;
        let answer = match reaction {
            None => obeyed(),
            Some(Reaction::Answer(tagged)) => Answer::tagged(tagged),
            Some(Reaction::AnswerAndClose(tagged)) => {
                Answer::tagged(tagged).afterwards("* BYE Connection closed. 14").ending()
            }
            Some(Reaction::Close("")) => Answer::nothing().ending(),
            Some(Reaction::Close(text)) => Answer::nothing().line(&format!("* BYE {text}")).ending(),
            Some(Reaction::Silence) => {
                then = Some(Then::FallSilent);
                Answer::nothing()
            }
            Some(Reaction::Cut(length)) => {
                cut = length;
                obeyed().ending()
            }
            Some(Reaction::Deny(tagged)) => Answer { last: Last::Tagged(tagged), ..obeyed() },
            Some(Reaction::Chatter(lines)) => lines.iter().fold(obeyed(), |answer, line| answer.line(line)),
            Some(Reaction::Push(lines)) => {
                lines.iter().fold(obeyed(), |answer, line| answer.afterwards(line))
            }
        };
        // For those who idle in it: this command or a script may have changed it.
        self.accounts.announce(&user);
        let mut reply = Reply::of(&command.tag, answer, session);
        reply.bytes.truncate(cut);
        Reply { then: then.unwrap_or(reply.then), ..reply }
    }

    /// Goes on with a command, by a line that is none itself.
    pub(super) fn resume(
        &mut self,
        (tag, awaited): (String, Awaited),
        line: &str,
        session: &mut Session,
    ) -> Reply {
        let answer = session.resume(&awaited, line, &mut self.accounts, &self.habits);
        Reply::of(&tag, answer, session)
    }

    /// Speaks without being asked.
    pub(super) fn speak_up(&mut self, event: &Event, session: &mut Session) -> Reply {
        let answer = match event {
            Event::News => session.speak_up(&mut self.accounts, &self.habits),
            Event::TokenExpired => {
                Answer::nothing().line("* BYE Session invalidated - AccessTokenExpired").ending()
            }
        };
        Reply::of("*", answer, session)
    }
}

impl Reply {
    fn of(tag: &str, answer: Answer, session: &mut Session) -> Self {
        let mut bytes = answer.untagged;
        match answer.last {
            Last::Tagged(tagged) => bytes.extend(format!("{tag} {tagged}\r\n").bytes()),
            Last::Continue(text, awaited) => {
                bytes.extend(format!("+ {text}\r\n").bytes());
                session.wait_for(tag, awaited);
            }
            Last::Nothing => {}
        }
        bytes.extend(answer.afterwards);
        Self { bytes, then: if answer.ends { Then::Close } else { Then::GoOn } }
    }
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
