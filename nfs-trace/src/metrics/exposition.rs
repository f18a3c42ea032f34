//! Prometheus' text format (exposition format 0.0.4). Pure.

use std::fmt::Write as _;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, until the process begins anew.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A document in the making.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a metric; its samples follow.
    pub(super) fn metric(&mut self, name: &str, kind: Kind, help: &str) -> Metric<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
        Metric {
            text: &mut self.0,
            name: name.into(),
        }
    }

    /// The document.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A metric whose samples are being written.
pub(super) struct Metric<'a> {
    text: &'a mut String,
    name: String,
}

impl Metric<'_> {
    /// One sample. `value` is a number as Prometheus reads it.
    pub(super) fn sample(
        &mut self,
        labels: &[(&str, &str)],
        value: impl std::fmt::Display,
    ) -> &mut Self {
        self.text.push_str(&self.name);
        for (index, (label, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"{}\"", escape(value));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
        self
    }
}

/// A label's value: any UTF-8, in which these three would end it or the line.
fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            character => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_made_of_help_type_and_samples() {
        let mut document = Exposition::default();
        document
            .metric("a_total", Kind::Counter, "Of\nevery \\ thing.")
            .sample(&[("x", "1"), ("y", "\"\\\n")], 3)
            .sample(&[], 4);
        document.metric("b", Kind::Gauge, "One.").sample(&[], "0.5");
        assert_eq!(
            document.finish(),
            "# HELP a_total Of\\nevery \\\\ thing.\n# TYPE a_total counter\n\
             a_total{x=\"1\",y=\"\\\"\\\\\\n\"} 3\na_total 4\n\
             # HELP b One.\n# TYPE b gauge\nb 0.5\n"
        );
    }
}
