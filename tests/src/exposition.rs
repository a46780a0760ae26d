//! What a server tells Prometheus about itself.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

/// A page in Prometheus's text format, or in OpenMetrics.
#[derive(Debug, Clone)]
pub struct Exposition(String);

impl Exposition {
    /// Of the text of a page.
    #[must_use]
    pub fn of(text: String) -> Self {
        Self(text)
    }

    /// The sum over all rows of `name` that have `labels`; 0 if there is none.
    ///
    /// # Errors
    /// A value is no whole number.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let rows = self.rows().filter(|(known, _)| *known == name).map(|(_, rest)| rest);
        let rows = rows.filter(|rest| labels.iter().all(|label| rest.contains(label)));
        let values = rows.filter_map(|rest| rest.rsplit(' ').next());
        values.map(|value| value.parse::<u64>().with_context(|| format!("{name}: {value}"))).sum()
    }

    /// The names of everything that has at least one row.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.rows().map(|(name, _)| name).collect()
    }

    /// The names of the labels of `name`.
    #[must_use]
    pub fn labels(&self, name: &str) -> BTreeSet<&str> {
        let rows = self.rows().filter(|(known, _)| *known == name);
        let pairs = rows.filter_map(|(_, rest)| Some(rest.strip_prefix('{')?.split_once('}')?.0));
        let labels = pairs.flat_map(|pairs| pairs.split(',')).filter_map(|pair| pair.split_once('='));
        labels.map(|(label, _)| label.trim()).collect()
    }

    /// Each row's name, and what comes behind it.
    fn rows(&self) -> impl Iterator<Item = (&str, &str)> {
        let rows = self.0.lines().filter(|line| !line.starts_with('#'));
        rows.filter_map(|line| Some(line.split_at(line.find(['{', ' '])?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_by_name_and_labels() -> Result<()> {
        let page =
            "# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"1\",y=\"3\"} 4\na_total 9\na_seconds{} 0.5\n".to_owned();
        let page = Exposition::of(page);
        assert_eq!(
            (page.sum("a", &[("x", "1")])?, page.sum("a", &[("y", "3")])?, page.sum("a_total", &[])?),
            (7, 4, 9)
        );
        assert_eq!(page.sum("nothing", &[])?, 0);
        assert!(page.sum("a_seconds", &[]).is_err());
        assert_eq!(page.names().into_iter().collect::<Vec<_>>(), ["a", "a_seconds", "a_total"]);
        assert_eq!(page.labels("a").into_iter().collect::<Vec<_>>(), ["x", "y"]);
        Ok(())
    }
}
