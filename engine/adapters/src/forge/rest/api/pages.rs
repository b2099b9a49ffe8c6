//! Lists, which come in pages.

use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::fault;
use super::super::kept::Trust;
use super::Api;
use crate::forge::ForgeError;

/// So many pages of one list are read: at 100 entries a page far more pull requests than a forge can have open, and a list
/// that goes on is a fault, not a list.
pub(in crate::forge) const PAGES_MAX: usize = 1000;

impl Api {
    /// Reads a list that must be there, every page: to take one that is not shown for an empty one would lose what is on it.
    pub(in crate::forge) fn need_pages<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        trust: Trust<'_>,
    ) -> Result<Vec<T>, ForgeError> {
        self.pages(path, trust)?
            .ok_or_else(|| fault::missing(&self.shown(&Method::GET, path), &self.repository))
    }

    /// Reads a list whose pages do not say whether there are more, until a page is empty.
    pub(in crate::forge) fn need_pages_to_an_empty_one<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        trust: Trust<'_>,
    ) -> Result<Vec<T>, ForgeError> {
        let mut all = Vec::new();
        for page in 1..=PAGES_MAX {
            let more: Vec<T> = self.need(&format!("{path}&page={page}"), trust)?;
            if more.is_empty() {
                return Ok(all);
            }
            all.extend(more);
        }
        Err(self.endless(path))
    }

    fn endless(&self, path: &str) -> ForgeError {
        ForgeError::terminal(
            format!("{} has more than {PAGES_MAX} pages", self.shown(&Method::GET, path)),
            "check that `spec.forge.repository` is the repository of this project",
        )
    }

    /// Reads a list, every page; none = there is no such list.
    pub(in crate::forge) fn pages<T: Serialize + DeserializeOwned>(
        &self,
        path: &str,
        trust: Trust<'_>,
    ) -> Result<Option<Vec<T>>, ForgeError> {
        let mut all = Vec::new();
        let mut at = path.to_owned();
        for page in 1..=PAGES_MAX {
            let Some(kept) = self.kept::<Vec<T>>(&at, trust)? else {
                if page == 1 {
                    return Ok(None);
                }
                return Err(ForgeError::retryable(
                    format!(
                        "{} was answered 404 though the page before it was there: the list has no end",
                        self.shown(&Method::GET, &at)
                    ),
                    "a replica may be late: run the command again in a minute",
                ));
            };
            let before = all.len();
            all.extend(self.parse::<Vec<T>>(&at, &kept.body)?);
            match (kept.next, kept.total) {
                (Some(next), _) => at = next,
                (None, Some(total)) if all.len() > before && all.len() < total => {
                    at = format!("{path}&page={}", page + 1);
                }
                (None, _) => return Ok(Some(all)),
            }
        }
        Err(self.endless(path))
    }
}
