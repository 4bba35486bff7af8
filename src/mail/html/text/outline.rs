//! The text that HTML becomes, and where in it begins what.

use crate::mail::html::mark::Mark;

/// HTML as text, and what its elements said about it.
#[derive(Default)]
pub(in crate::mail) struct Outline {
    /// Up to a little more than [`limit::TEXT_BYTES`](crate::mail::limit::TEXT_BYTES).
    pub(in crate::mail) text: String,
    /// What begins where, in order; each at the beginning of a line if the element made one. None of them
    /// rather than some, if there are more than [`limit::MARKS`](crate::mail::limit::MARKS).
    pub(in crate::mail) marks: Vec<(usize, Mark)>,
}

impl Outline {
    /// Appends what comes below.
    pub(in crate::mail) fn append(&mut self, below: Self) {
        let at = self.text.len();
        self.text.push_str(&below.text);
        // What was open above ends there.
        self.marks
            .extend(self.marks.last().is_some_and(|(_, mark)| *mark != Mark::Own).then_some((at, Mark::Own)));
        self.marks.extend(below.marks.into_iter().map(|(offset, mark)| (at + offset, mark)));
    }
}
