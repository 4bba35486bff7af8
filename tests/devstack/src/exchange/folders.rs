//! The commands on folders as such.

use super::answer::Answer;
use super::command::Command;
use super::habits::Habits;
use super::mailbox::Mailbox;

pub(super) fn list(command: &Command, mailbox: &Mailbox, habits: &Habits) -> Answer {
    let pattern = command.words().into_iter().nth(1).unwrap_or_default();
    let mut answer = Answer::completed("LIST");
    for folder in &mailbox.folders {
        if pattern == "*" || folder.name.eq_ignore_ascii_case(&pattern) {
            let name = folder.name.replace('\\', "\\\\").replace('"', "\\\"");
            answer = answer.line(&format!("* LIST (\\HasNoChildren) \"{}\" \"{name}\"", habits.delimiter));
        }
    }
    answer
}

pub(super) fn create(command: &Command, mailbox: &mut Mailbox, habits: &Habits) -> Answer {
    let name = command.words().into_iter().next().unwrap_or_default();
    if !name.starts_with(habits.prefix) {
        return Answer::tagged("NO [CANNOT] Invalid mailbox name.");
    }
    if mailbox.folder(&name).is_ok() {
        return Answer::tagged("NO Mailbox already exists.");
    }
    mailbox.create(&name);
    Answer::completed("CREATE")
}
