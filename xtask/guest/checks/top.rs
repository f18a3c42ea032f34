//! `trace --top` on a terminal: what it shows, that keys and signals do what they should, and that
//! the terminal is itself again after each way to end.

use std::{
    fs::File,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lab_contract::protocol::NfsVersion;
use rustix::process::Signal;

use super::{
    Held,
    ground::{Ground, mount_both, wait_for},
    held, kernel,
    modules::{is_module, load, unload_all},
    terminal::Terminal,
    tool::Tool,
};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// A few pictures under TCG, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// For measuring: time without opens, and opens.
const IDLE: Duration = Duration::from_secs(5);
const MANY: u64 = 300;
const COLUMNS: u16 = 80;
const LINES: u16 = 24;

/// `trace --top`, armed, on a terminal of its own.
fn started(arguments: &[&str]) -> Result<(Terminal, Tool)> {
    let terminal = Terminal::new(COLUMNS, LINES)?;
    let arguments = [&["--top"], arguments].concat();
    let tool = Tool::armed_after(&arguments, |command| {
        let (stdin, stdout) = (terminal.end()?, terminal.end()?);
        command.stdin(stdin).stdout(stdout).stderr(terminal.end()?);
        Ok(())
    })
    .with_context(|| format!("it wrote {:?}", terminal.written()))?;
    wait(&terminal, "q end")?;
    ensure!(terminal.is_raw()?, "keys wait for Enter");
    Ok((terminal, tool))
}

/// Waits until the screen shows this.
fn wait(terminal: &Terminal, words: &str) -> Result<()> {
    let screen = || terminal.screen(COLUMNS.into(), LINES.into());
    wait_for(&format!("`{words}` on the screen"), PATIENCE, || {
        Ok(screen().contains(words))
    })
    .with_context(|| format!("it shows:\n{}", screen()))
}

/// The line of the screen that ends so.
fn line(screen: &str, end: &str) -> Result<Vec<String>> {
    let line = screen.lines().find(|line| line.ends_with(end));
    let line = line.with_context(|| format!("find {end} in:\n{screen}"))?;
    Ok(line.split_whitespace().map(str::to_owned).collect())
}

/// It ends with this status, and the terminal is as it was; returns what was printed after.
fn restored(terminal: &Terminal, tool: Tool, fresh: &Terminal, status: i32) -> Result<String> {
    tool.end()?.expect(status)?;
    // What it wrote last may still be on its way.
    let complete = |text: &str| text.contains("nothing lost, every path complete");
    let after = || {
        let written = terminal.written();
        let after = written
            .rsplit_once(LEAVE)
            .map(|(_, after)| after.to_owned());
        after.unwrap_or_default()
    };
    wait_for("a footer on the normal screen", PATIENCE, || {
        Ok(complete(&after()))
    })
    .with_context(|| format!("it wrote {:?}", terminal.written()))?;
    ensure!(
        terminal.modes()? == fresh.modes()?,
        "the terminal's modes are others"
    );
    let written = terminal.written();
    let (enters, leaves) = (
        written.matches(ENTER).count(),
        written.matches(LEAVE).count(),
    );
    ensure!(
        enters == leaves,
        "{enters} times entered, {leaves} times left"
    );
    Ok(after())
}

pub(super) fn top(ground: &Ground, version: NfsVersion) -> Result<Held> {
    let fresh = Terminal::new(COLUMNS, LINES)?;

    // What is shown, and q.
    let (terminal, tool) = started(&["--mount", "/mnt"])?;
    // Held open: an affected client serves the others from that.
    ground.file("often")?;
    let holder = File::open(ground.name("often"))?;
    ground.opens("alpha", 7, "often")?;
    ground.opens("alpha", 3, "bell\x07")?;
    wait(&terminal, "11 opens")?;
    drop(holder);
    let screen = terminal.screen(COLUMNS.into(), LINES.into());
    let often = line(&screen, "/top/often")?;
    let bell = line(&screen, "/top/bell\\x07")?;
    ensure!(often[1] == "8" && bell[1] == "3", "other counts:\n{screen}");
    ensure!(!terminal.written().contains('\x07'), "a name rang the bell");
    ensure!(screen.contains("nothing lost"), "something lost:\n{screen}");
    let evidence = match often[2].as_str() {
        "0" => "no cached open among 11: proves nothing".to_owned(),
        cached => format!("AFFECTED: {cached} cached opens"),
    };
    ensure!(screen.contains(&evidence), "not {evidence}:\n{screen}");
    ensure!(
        !screen.contains("/other"),
        "a mount that is not traced:\n{screen}"
    );
    terminal.press("/oft\r")?;
    wait(&terminal, "with oft")?;
    let filtered = terminal.screen(COLUMNS.into(), LINES.into());
    ensure!(!filtered.contains("bell"), "not filtered:\n{filtered}");
    terminal.press("?")?;
    wait(&terminal, "KEYS AND COLUMNS")?;
    terminal.press(" ")?;
    wait(&terminal, "with oft")?;
    terminal.resize(100, 30)?;
    wait_for("the last line where it is now", PATIENCE, || {
        let larger = terminal.screen(100, 30);
        Ok(larger
            .lines()
            .last()
            .is_some_and(|it| it.starts_with("q end")))
    })?;
    terminal.press("q")?;
    let after = restored(&terminal, tool, &fresh, 0)?;
    ensure!(after.contains("11 opens: "), "no footer: {after}");

    // Every other way to end.
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (terminal, tool) = started(&[])?;
        tool.signal(signal)?;
        restored(&terminal, tool, &fresh, 0)?;
    }
    let (terminal, tool) = started(&[])?;
    terminal.press("\x03")?;
    restored(&terminal, tool, &fresh, 0)?;
    let (terminal, tool) = started(&["--duration", "1s"])?;
    restored(&terminal, tool, &fresh, 0)?;

    stopped(&fresh)?;
    let cost = cost(ground, &fresh)?;
    let reloaded = if is_module("nfsv4")? {
        reloaded(ground, &fresh, version)?;
        "went on with modules loaded anew"
    } else {
        "no modules to unload here"
    };
    let command = kernel::has_tracepoint_programs()?;
    if command {
        of_a_command(ground, &fresh)?;
    }

    // Where it cannot be.
    Tool::run(&["trace", "--top"])?.refuses(64, &["--top", "terminal"])?;
    Tool::run(&["trace", "--top", "--format", "json"])?.expect(64)?;
    held(format!(
        "{evidence}; resized, stopped, restored after every end; {reloaded}; {cost}"
    ))
}

/// Stopped by Ctrl-Z, it leaves the terminal to the shell, and takes it again.
fn stopped(fresh: &Terminal) -> Result<()> {
    let (terminal, tool) = started(&[])?;
    for round in 1..=2 {
        match round {
            1 => terminal.press("\x1a")?,
            _ => tool.signal(Signal::TSTP)?,
        }
        wait_for("the terminal left", PATIENCE, || {
            Ok(terminal.written().matches(LEAVE).count() == round && tool.is_stopped()?)
        })?;
        ensure!(
            terminal.modes()? == fresh.modes()?,
            "stopped, and the modes are others"
        );
        tool.signal(Signal::CONT)?;
        wait_for("the terminal taken again", PATIENCE, || {
            Ok(terminal.written().matches(ENTER).count() == round + 1 && terminal.is_raw()?)
        })?;
    }
    terminal.press("q")?;
    restored(&terminal, tool, fresh, 0).map(drop)
}

/// What the picture costs in processor time: while nothing happens, and while files are opened.
fn cost(ground: &Ground, fresh: &Terminal) -> Result<String> {
    let (terminal, tool) = started(&[])?;
    let measure = |work: &dyn Fn() -> Result<()>| -> Result<(f64, f64)> {
        let (used, began) = (tool.cpu_time()?, Instant::now());
        work()?;
        let took = began.elapsed().as_secs_f64();
        let used = tool.cpu_time()?.saturating_sub(used).as_secs_f64();
        Ok((100.0 * used / took, took))
    };
    let (idle, _) = measure(&|| {
        thread::sleep(IDLE);
        Ok(())
    })?;
    let (busy, took) = measure(&|| ground.opens("alpha", MANY, "often"))?;
    wait(&terminal, &format!("{MANY} opens"))?;
    terminal.press("q")?;
    restored(&terminal, tool, fresh, 0)?;
    Ok(format!(
        "{idle:.1} % of a processor idle, {busy:.1} % at {:.0} opens a second",
        MANY as f64 / took
    ))
}

/// The client's modules go and come back: said in the picture, which goes on.
fn reloaded(ground: &Ground, fresh: &Terminal, version: NfsVersion) -> Result<()> {
    let (terminal, tool) = started(&[])?;
    ground.opens("alpha", 3, "often")?;
    wait(&terminal, "3 opens")?;
    unload_all()?;
    wait(&terminal, "module nfsv4 was unloaded: waiting")?;
    wait(&terminal, "NOT ATTACHED")?;
    // Keys are heard meanwhile.
    terminal.press("?")?;
    wait(&terminal, "KEYS AND COLUMNS")?;
    terminal.press(" ")?;
    ["nfs", "nfsv4"].into_iter().try_for_each(load)?;
    wait(&terminal, "attached again after ")?;
    mount_both(version)?;
    ground.opens("alpha", 4, "often")?;
    wait(&terminal, "7 opens")?;
    let screen = terminal.screen(COLUMNS.into(), LINES.into());
    ensure!(!screen.contains("NOT ATTACHED"), "it is:\n{screen}");
    let often = line(&screen, "/top/often")?;
    ensure!(often[1] == "7", "a name lost its count:\n{screen}");
    terminal.press("q")?;
    let after = restored(&terminal, tool, fresh, 0)?;
    for words in ["7 opens: ", "unloaded once; opens in the "] {
        ensure!(after.contains(words), "no `{words}`: {after}");
    }
    Ok(())
}

/// What a command prints is kept off the screen, and its status is passed on.
fn of_a_command(ground: &Ground, fresh: &Terminal) -> Result<()> {
    ground.file("read")?;
    let script = format!(
        "cat {0}; echo NOISE; echo NOISE >&2; sleep 2; exit 3",
        ground.name("read")
    );
    let (terminal, tool) = started(&["--", "sh", "-c", &script])?;
    wait(&terminal, "/top/read")?;
    let after = restored(&terminal, tool, fresh, 3)?;
    ensure!(after.contains("1 open: "), "no footer: {after}");
    ensure!(
        !terminal.written().contains("NOISE"),
        "the command is on the screen"
    );
    Ok(())
}
