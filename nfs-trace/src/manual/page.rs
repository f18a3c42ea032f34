//! [`Page`]: the source of a man page, in the macros of man(7).

use std::{fmt::Display, io};

use clap::{Arg, ArgAction, Command};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};

/// A page that is being written.
pub(super) struct Page {
    source: String,
}

impl Page {
    /// A page of section 1, with its NAME.
    pub(super) fn new(name: &str, about: &str) -> Self {
        let program = format!("nfs-trace {}", env!("CARGO_PKG_VERSION"));
        // No date: the same version gives the same page.
        let date = "\"\"";
        let mut title = Roff::new();
        title.control("TH", [&escape(name), "1", date, &program, "User Commands"]);
        // The only part that keeps the preamble.
        let mut page = Self {
            source: title.render(),
        };
        page.section("NAME");
        page.text([roman(format!("{name} - {about}"))]);
        page
    }

    /// The finished source.
    pub(super) fn finish(self) -> String {
        self.source
    }

    /// Begins a section.
    pub(super) fn section(&mut self, heading: &str) {
        self.control("SH", &[heading]);
    }

    /// Begins a part of a section.
    pub(super) fn subsection(&mut self, heading: &str) {
        self.control("SS", &[heading]);
    }

    /// Text that goes on where it stands.
    pub(super) fn text(&mut self, inlines: impl Into<Vec<Inline>>) {
        let mut roff = Roff::new();
        roff.text(inlines);
        let rendered = roff.render();
        // Formatters turn these into typographic ones, and examples are copied.
        let plain = without_preamble(&rendered)
            .replace('`', "\\(ga")
            .replace('^', "\\(ha")
            .replace('~', "\\(ti");
        self.source.push_str(&plain);
    }

    /// Begins a paragraph.
    pub(super) fn paragraph(&mut self) {
        self.control("PP", &[]);
    }

    /// Text whose lines and columns stay as they are.
    pub(super) fn verbatim(&mut self, text: &str) {
        self.control("nf", &[]);
        for line in text.trim_end().lines() {
            self.text([roman(line)]);
        }
        self.control("fi", &[]);
    }

    /// A term, explained by the text that follows.
    pub(super) fn term(&mut self, term: impl Display) {
        self.control("TP", &[]);
        self.text([bold(term.to_string())]);
    }

    /// How a command is called, with everything that it takes.
    pub(super) fn synopsis(&mut self, command: &Command) {
        let name = command.get_bin_name().unwrap_or(command.get_name());
        self.control("SY", &[name]);
        let shown = || command.get_arguments().filter(|arg| !arg.is_hide_set());
        let is_help = |arg: &Arg| matches!(arg.get_action(), ArgAction::Help | ArgAction::Version);
        for arg in shown().filter(|arg| !arg.is_positional() && !is_help(arg)) {
            self.argument(arg);
        }
        for arg in shown().filter(|arg| arg.is_positional()) {
            self.argument(arg);
        }
        self.control("YS", &[]);
    }

    /// The options and arguments of a command, each with its help.
    pub(super) fn options(&mut self, command: &Command) -> io::Result<()> {
        let mut rendered = Vec::new();
        Man::new(command.clone()).render_options_section(&mut rendered)?;
        let rendered = String::from_utf8_lossy(&rendered).into_owned();
        let body = without_preamble(&rendered);
        for line in body.lines() {
            match line.strip_prefix(".SH ") {
                // The caller has said so.
                Some("OPTIONS") => {}
                Some(group) => {
                    self.paragraph();
                    self.text([bold(group.trim_matches('"'))]);
                }
                None => self.line(line),
            }
        }
        Ok(())
    }

    /// One argument of a synopsis, as `[--mount PATH]...`, never broken inside.
    fn argument(&mut self, arg: &Arg) {
        let option = match (arg.get_long(), arg.get_short()) {
            (Some(long), _) => Some(format!("--{long}")),
            (None, Some(short)) => Some(format!("-{short}")),
            (None, None) => arg.is_last_set().then(|| "--".to_string()),
        };
        let values = arg.get_num_args().unwrap_or_default();
        let names = arg.get_value_names().unwrap_or_default();
        let mut words = Vec::from_iter(option.map(|option| format!("\\fB{}\\fR", escape(&option))));
        if values.takes_values() {
            let more = if values.max_values() > 1 { "..." } else { "" };
            words.push(format!("\\fI{}\\fR{more}", escape(&names.join(" "))));
        }
        let words = words.join("\\~");
        let more = match arg.get_action() {
            ArgAction::Append if !arg.is_positional() => "...",
            _ => "",
        };
        self.line(&if arg.is_required_set() {
            format!("{words}{more}")
        } else {
            format!("[{words}]{more}")
        });
    }

    fn control(&mut self, name: &str, arguments: &[&str]) {
        let mut roff = Roff::new();
        let escaped: Vec<_> = arguments.iter().map(|it| escape(it)).collect();
        roff.control(name, escaped.iter().map(String::as_str));
        self.source.push_str(&roff.to_roff());
    }

    fn line(&mut self, line: &str) {
        self.source.push_str(line);
        self.source.push('\n');
    }
}

/// For what [`Roff`] does not escape: a plain `-` may be made a hyphen.
fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// What [`Roff::render`] puts before a document: the definition of the apostrophe.
fn without_preamble(rendered: &str) -> &str {
    rendered
        .strip_prefix(&Roff::new().render())
        .unwrap_or(rendered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_taken_for_macros_or_escapes() {
        let mut page = Page::new("a-b", "c-d");
        page.verbatim(".TH\n'quoted' ~/`a^b`\n  back\\slash --flag\n\n.\n");
        let source = page.finish();
        let (_, body) = source.split_once(".nf\n").expect("verbatim text");
        assert_eq!(
            body,
            "\\&.TH\n\
             \\*(Aqquoted\\*(Aq \\(ti/\\(gaa\\(hab\\(ga\n  \
             back\\\\slash \\-\\-flag\n\n\
             \\&.\n.fi\n"
        );
        assert!(source.contains(".TH a\\-b 1 \"\" "), "{source}");
    }

    #[test]
    fn a_synopsis_shows_what_is_repeated_and_what_is_optional() {
        let mut command = Command::new("x")
            .arg(
                Arg::new("a")
                    .long("a-b")
                    .action(ArgAction::Append)
                    .value_name("N"),
            )
            .arg(Arg::new("v").short('v').action(ArgAction::SetTrue))
            .arg(Arg::new("h").long("hidden").hide(true))
            .arg(Arg::new("file").required(true).value_name("FILE"))
            .arg(
                Arg::new("rest")
                    .last(true)
                    .num_args(0..)
                    .value_name("COMMAND"),
            );
        command.build();
        let mut page = Page::new("x", "");
        page.synopsis(&command);
        let source = page.finish();
        let (_, synopsis) = source.split_once(".SY x\n").expect("a synopsis");
        assert_eq!(
            synopsis,
            "[\\fB\\-\\-a\\-b\\fR\\~\\fIN\\fR]...\n\
             [\\fB\\-v\\fR]\n\
             \\fIFILE\\fR\n\
             [\\fB\\-\\-\\fR\\~\\fICOMMAND\\fR...]\n\
             .YS\n"
        );
    }
}
