//! What a finding is about, and how much it weighs.

use std::fmt;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It cannot work, or surely is not meant.
    Error,
    /// A risk.
    Warning,
    /// A matter of style.
    Note,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $severity:ident;)*) => {
        /// What a finding is about; the names are stable, for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code's name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// How much it weighs.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// The name belongs to Amigo's own roles.
    ReservedName = Error;
    /// The name cannot be a part of a path: it has a slash, blanks at its ends, or more than 256 characters.
    UnusableName = Error;
    /// The permission is not written `Category:Action`, but, for example, with a dot.
    MalformedPermission = Error;
    /// A preference of users stands where its attribute, of nearly the same name, is meant.
    PreferenceAsAttribute = Error;
    /// The value is of a type that the attribute never has, so the condition never holds (`NotEquals`: always).
    WrongValueType = Error;
    /// Text in braces that is no variable.
    UnknownVariable = Error;
    /// A variable that stands for something else than the attribute, such as a user for an organization.
    MismatchedVariable = Error;
    /// `In` without a value never holds.
    EmptyIn = Error;
    /// The role's Deny grants take all that this Allow gives.
    DeniedAllow = Error;
    /// No condition at all: the permission holds everywhere.
    NoConditions = Warning;
    /// Conditions, but none that keeps the permission within the organization.
    MissingOrganizationScope = Warning;
    /// A Deny without conditions, which takes the permission from everybody with the role.
    BroadDeny = Warning;
    /// No snapshot of the API document names this permission; it may be a slip.
    UnknownPermission = Warning;
    /// No guide shows this attribute; it may be a slip.
    UnknownAttribute = Warning;
    /// An attribute of one kind of thing on a permission about another.
    MisplacedAttribute = Warning;
    /// A variable within a longer text, where it is text.
    VariableInText = Warning;
    /// The permission does little without another that the role does not allow.
    MissingCompanion = Warning;
    /// A Deny that takes away what an Allow gives, where a narrower Allow would do.
    PreferAllow = Note;
    /// A Deny that takes nothing, as no Allow gives it.
    IdleDeny = Note;
    /// The rest of the role means the same without this grant.
    RedundantGrant = Note;
    /// `In` with one value.
    SingleIn = Note;
    /// `In` with a value twice.
    RepeatedValue = Note;
    /// Nothing says what the role, or why the grant, is for.
    NoDescription = Note;
}

impl Severity {
    /// The severity's name, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
