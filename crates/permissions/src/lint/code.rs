//! The rules, and their severities.

use std::fmt;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The role cannot work as intended.
    Error,
    /// The role has a risk.
    Warning,
    /// A matter of style.
    Note,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $severity:ident;)*) => {
        /// The rule of a finding. Programs can rely on the names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code's name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The severity of the code.
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
    /// The name cannot be part of a URL path: it is empty, too long, or has a slash or leading or trailing spaces.
    UnusableName = Error;
    /// The permission does not have the form `Category:Action`; it may have a dot instead of the colon.
    MalformedPermission = Error;
    /// A condition names a user preference instead of the attribute with a similar name.
    PreferenceAsAttribute = Error;
    /// The value has a type that the attribute never has, so the condition never holds (`NotEquals`: always holds).
    WrongValueType = Error;
    /// A text in braces is not a variable.
    UnknownVariable = Error;
    /// The variable has another kind of value than the attribute, for example a user instead of an organization.
    MismatchedVariable = Error;
    /// `In` without values never holds.
    EmptyIn = Error;
    /// The role's Deny grants deny everything that this Allow allows.
    DeniedAllow = Error;
    /// The grant has no conditions, so it always applies.
    NoConditions = Warning;
    /// No condition limits the permission to one organization.
    MissingOrganizationScope = Warning;
    /// A Deny without conditions always denies the permission.
    BroadDeny = Warning;
    /// No known version of the API document has this permission; it may be misspelled.
    UnknownPermission = Warning;
    /// No guide shows this attribute; it may be misspelled.
    UnknownAttribute = Warning;
    /// Permissions of this category do not have the attribute.
    MisplacedAttribute = Warning;
    /// A variable inside a longer text is not replaced.
    VariableInText = Warning;
    /// The permission requires another one that the role does not allow.
    MissingCompanion = Warning;
    /// A Deny restricts an Allow that could be narrower instead.
    PreferAllow = Note;
    /// A Deny has no effect, because no Allow allows what it denies.
    IdleDeny = Note;
    /// The role has the same privileges without this grant.
    RedundantGrant = Note;
    /// `In` has only one value.
    SingleIn = Note;
    /// `In` has a duplicate value.
    RepeatedValue = Note;
    /// The role or the grant has no description.
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
