//! How stored messages leave a folder, chosen from what the server can do.

use std::fmt;

use crate::config;

use super::capability::Capabilities;

/// How stored messages leave a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// They stay.
    Keep,
    /// They are moved in one step (RFC 6851).
    Move {
        /// The folder they go to, in UTF-8.
        to: String,
    },
    /// They are copied, and the originals removed once the copy has succeeded.
    Copy {
        /// The folder they go to, in UTF-8.
        to: String,
        /// How the originals are removed.
        removal: Removal,
    },
    /// They are removed.
    Delete {
        /// How.
        removal: Removal,
    },
}

/// How a message is removed from a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// Flagged `\Deleted`, then expunged by its UID (RFC 4315).
    Expunge,
    /// Flagged `\Deleted` only. Without UIDPLUS a server can only expunge everything that is flagged so, and
    /// what others have flagged is not ours to remove.
    Flag,
}

impl Plan {
    /// Chooses the best that the server can do of what is wanted.
    pub fn choose(capabilities: &Capabilities, wanted: &config::Settle) -> Self {
        let removal = if capabilities.has("UIDPLUS") { Removal::Expunge } else { Removal::Flag };
        match wanted {
            config::Settle::Keep => Self::Keep,
            config::Settle::Expunge => Self::Delete { removal },
            config::Settle::Move { to } if capabilities.has("MOVE") => Self::Move { to: to.clone() },
            config::Settle::Move { to } => Self::Copy { to: to.clone(), removal },
        }
    }

    /// Whether settled messages stay in the folder, flagged `\Deleted`, until somebody expunges it.
    pub fn leaves_flagged(&self) -> bool {
        match self {
            Self::Copy { removal, .. } | Self::Delete { removal } => *removal == Removal::Flag,
            Self::Keep | Self::Move { .. } => false,
        }
    }

    /// Why settled messages are still in the folder; `None` if they leave it.
    pub fn stays(&self) -> Option<&'static str> {
        match self {
            Self::Keep => Some("kept, as configured"),
            _ if self.leaves_flagged() => Some("flagged \\Deleted"),
            _ => None,
        }
    }
}

/// What is done with a stored message, for a person.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Move { to } => write!(f, "move to {to:?}"),
            Self::Copy { to, removal } => {
                write!(f, "copy to {to:?} (the server has no MOVE), then {removal}")
            }
            Self::Delete { removal } => removal.fmt(f),
        }
    }
}

impl fmt::Display for Removal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expunge => "delete",
            Self::Flag => {
                "leave flagged \\Deleted (the server has no UIDPLUS to delete single messages with)"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_follows_from_policy_and_capabilities() {
        let to = || "Done".to_owned();
        let (expunge, flag) = (Removal::Expunge, Removal::Flag);
        let wish = config::Settle::Move { to: to() };
        for (wanted, capabilities, plan, leaves_flagged) in [
            (&wish, &["MOVE", "UIDPLUS"][..], Plan::Move { to: to() }, false),
            (&wish, &["MOVE"], Plan::Move { to: to() }, false),
            (&wish, &["UIDPLUS"], Plan::Copy { to: to(), removal: expunge }, false),
            (&wish, &[], Plan::Copy { to: to(), removal: flag }, true),
            (&config::Settle::Expunge, &["MOVE", "UIDPLUS"], Plan::Delete { removal: expunge }, false),
            (&config::Settle::Expunge, &["MOVE"], Plan::Delete { removal: flag }, true),
            (&config::Settle::Keep, &["MOVE", "UIDPLUS"], Plan::Keep, false),
            (&config::Settle::Keep, &[], Plan::Keep, false),
        ] {
            let chosen = Plan::choose(&capabilities.iter().collect(), wanted);

            assert_eq!(chosen, plan, "{wanted:?} with {capabilities:?}");
            assert_eq!(chosen.leaves_flagged(), leaves_flagged, "{chosen}");
        }
    }

    #[test]
    fn a_plan_says_what_it_does_and_why_it_is_not_better() {
        let plan = Plan::choose(&Capabilities::default(), &config::Settle::Move { to: "Done".to_owned() });

        assert_eq!(
            plan.to_string(),
            "copy to \"Done\" (the server has no MOVE), then leave flagged \\Deleted (the server has no UIDPLUS \
             to delete single messages with)"
        );
    }
}
