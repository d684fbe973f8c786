//! Names of things a user can name. All follow one rule, so that any of them
//! can become a host name, a file name or part of a socket name unescaped.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Longest allowed name in bytes: one DNS label (RFC 1035, 2.3.4).
const MAX_LEN: usize = 63;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text has no characters.
    #[error("A name cannot be empty")]
    Empty,
    /// The text is longer than one DNS label.
    #[error("A name has at most {MAX_LEN} characters, this one has {0}")]
    TooLong(usize),
    /// The text has a character outside `a-z`, `0-9` and `-`.
    #[error("A name has only a-z, 0-9 and `-`, not {0:?}")]
    BadCharacter(char),
    /// The text starts or ends with a hyphen.
    #[error("A name starts and ends with a letter or a digit")]
    EdgeHyphen,
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if let Some(bad) = text
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-'))
    {
        return Err(NameError::BadCharacter(bad));
    }
    if text.len() > MAX_LEN {
        return Err(NameError::TooLong(text.len()));
    }
    if text.starts_with('-') || text.ends_with('-') {
        return Err(NameError::EdgeHyphen);
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// The first rule of [`NameError`] that the text breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type!(
    /// The name of a lab, unique among the labs of one user on one machine.
    LabName
);
name_type!(
    /// The name of a node within its layer; also its host name.
    NodeName
);
name_type!(
    /// The name of a network within its layer.
    NetworkName
);
/// The name of an image in a lab file or in the built-in catalogue. Unlike the
/// other names it may hold dots, as `ubuntu-24.04` does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName(String);

impl ImageName {
    /// Parses an image name.
    ///
    /// # Errors
    /// As [`NodeName::new`], for each part between dots.
    pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        text.split('.').try_for_each(check)?;
        Ok(Self(text))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ImageName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for ImageName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        let check = |text: &str, expected: Result<(), NameError>| {
            assert_eq!(NodeName::new(text).map(drop), expected, "{text:?}");
        };
        check("consul-1", Ok(()));
        check("a", Ok(()));
        check("", Err(NameError::Empty));
        check("-a", Err(NameError::EdgeHyphen));
        check("a/b", Err(NameError::BadCharacter('/')));
        check("Caps", Err(NameError::BadCharacter('C')));
        check("..", Err(NameError::BadCharacter('.')));
        check(&"a".repeat(64), Err(NameError::TooLong(64)));
    }

    #[test]
    fn image_names_may_hold_dots() {
        assert!(ImageName::new("ubuntu-24.04").is_ok());
        assert_eq!(ImageName::new("../x"), Err(NameError::Empty));
    }
}
