//! `cargo xtask page`: the page of `nfs-trace report --html` in a headless browser.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    browser::{self, Browser},
    cache, exec,
    setup::{self, Needs, Tools},
    workspace,
};

/// Try the page of `nfs-trace report --html` in a headless browser
#[derive(Args)]
pub(crate) struct Options {
    /// Write the picture of the README to this file
    #[arg(long, value_name = "FILE")]
    screenshot: Option<PathBuf>,
    /// In dark colours
    #[arg(long, requires = "screenshot")]
    dark: bool,
}

const WINDOW: (u32, u32) = (1280, 1100);
/// Of the lab: a client without the fix, cached opens, and no answer of the server after them.
const RENAME_OVER: &str = "nfs-trace/tests/data/6.1-without-series-rename-over-v4.0.nfst";
/// The same, and then the server was asked.
const NOTICED: &str = "nfs-trace/tests/data/6.1-without-series-noticed-v4.0.nfst";
const DELEGATION: &str = "nfs-trace/tests/data/6.1-stock-delegation-v4.0.nfst";
/// Written by the test `recording::report::html_shows_names_escaped` of nfs-trace.
const NAMES: &str = "target/tmp/report-html/page.html";
/// Records of more than 100,000 opens of 40 files.
const MANY: (&str, &str) = ("360000", "40");

pub(crate) fn run(options: &Options) -> Result<()> {
    let tools = setup::ensure(&Needs {
        programs: true,
        lab: false,
    })?;
    let program = program()?;
    if let Some(file) = &options.screenshot {
        let page = page(&tools, NOTICED, "screenshot")?;
        let mut browser = Browser::start(&program, &folder()?)?;
        browser.prefer(if options.dark { "dark" } else { "light" })?;
        browser.open(&page, WINDOW)?;
        return browser.screenshot(file);
    }
    check(&tools, &program)
}

/// The browser, installed if need be and possible.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(program) = browser::find() {
        return Ok(program);
    }
    setup::browser()?;
    browser::find().context("find the browser that was installed")
}

fn folder() -> Result<PathBuf> {
    let folder = workspace::root().join("target/page");
    cache::create_dir(&folder)?;
    Ok(folder)
}

/// Loads pages of recordings, and uses them as a person does.
pub(crate) fn check(tools: &Tools, program: &Path) -> Result<()> {
    let mut browser = Browser::start(program, &folder()?)?;
    let page = |recording: &str, name: &str| page(tools, recording, name);
    let rename_over = page(RENAME_OVER, "rename-over")?;
    cached_opens(&mut browser, &rename_over).context("the cached opens of rename-over")?;
    filter(&mut browser, &rename_over).context("the filter")?;
    keys(&mut browser, &rename_over).context("the keys")?;
    colours(&mut browser, &rename_over).context("light and dark")?;
    noticed(&mut browser, &page(NOTICED, "noticed")?).context("a rename that was noticed")?;
    delegation(&mut browser, &page(DELEGATION, "delegation")?).context("a delegation")?;
    names(&mut browser).context("names that do harm")?;
    many(&mut browser, tools).context("100,000 opens")
}

/// `nfs-trace report --html` of a recording.
fn page(tools: &Tools, recording: &str, name: &str) -> Result<PathBuf> {
    let page = folder()?.join(format!("{name}.html"));
    let mut cargo = Command::new("cargo");
    tools.apply(&mut cargo)?;
    cargo
        .current_dir(workspace::root())
        .args(["run", "--quiet", "--locked", "--package", "nfs-trace", "--"])
        .args(["report", recording, "--html"])
        .arg(&page);
    exec::run(&mut cargo)?;
    Ok(page)
}

/// A value that a script on the page has to come to.
fn expect(browser: &mut Browser, script: &str, expected: &Value) -> Result<()> {
    let found = browser.eval(script)?;
    ensure!(found == *expected, "{script}: {found}, not {expected}");
    Ok(())
}

fn no_complaints(browser: &mut Browser) -> Result<()> {
    let complaints = browser.complaints()?;
    ensure!(complaints.is_empty(), "it complains: {complaints:#?}");
    Ok(())
}

const ROWS: &str = "document.querySelectorAll('#rows tr').length";

/// Opens that the marks of this word in the timeline stand for.
fn marks(word: &str) -> String {
    format!(
        "[...document.querySelectorAll('#timeline g[data-word={word}]')]\
         .reduce((sum, it) => sum + Number(it.dataset.opens), 0)"
    )
}

fn cached_opens(browser: &mut Browser, page: &Path) -> Result<()> {
    browser.open(page, WINDOW)?;
    no_complaints(browser)?;
    expect(browser, &marks("cached"), &json!(11))?;
    expect(browser, &marks("atomic"), &json!(1))?;
    expect(browser, ROWS, &json!(12))?;
    let cached = "[...document.querySelectorAll('#rows tr')]\
                  .filter((it) => it.textContent.includes('CACHED')).length";
    expect(browser, cached, &json!(11))?;
    let told = "document.querySelector('#sequence').textContent.includes('OPEN not sent')";
    expect(browser, told, &json!(true))?;
    // Nothing was noticed, so nothing is claimed.
    let claimed = "document.querySelectorAll('.change, tr.old').length";
    expect(browser, claimed, &json!(0))
}

fn filter(browser: &mut Browser, page: &Path) -> Result<()> {
    browser.open(page, WINDOW)?;
    browser.press("/")?;
    browser.insert("atomic init")?;
    expect(browser, ROWS, &json!(1))?;
    expect(browser, &marks("cached"), &json!(0))?;
    expect(
        browser,
        "document.getElementById('found').textContent",
        &json!("1 open of 12"),
    )?;
    browser.insert(" nothing-has-this-name")?;
    expect(browser, ROWS, &json!(0))?;
    expect(
        browser,
        "document.querySelectorAll('#list li').length",
        &json!(0),
    )?;
    browser.press("Escape")?;
    expect(browser, ROWS, &json!(12))?;
    expect(browser, &marks("cached"), &json!(11))?;
    no_complaints(browser)
}

fn keys(browser: &mut Browser, page: &Path) -> Result<()> {
    browser.open(page, WINDOW)?;
    browser.eval("document.getElementById('timeline').focus()")?;
    for _ in 0..2 {
        browser.press("ArrowRight")?;
    }
    let second = "document.querySelector('#open').textContent.includes('CACHED')";
    expect(browser, second, &json!(true))?;
    let chosen = "[...document.querySelectorAll('#rows tr')]\
                  .findIndex((it) => it.ariaSelected === 'true')";
    expect(browser, chosen, &json!(1))?;
    // Nearer: marks that lay on each other come apart.
    let groups = "document.querySelectorAll('#timeline g[data-word=cached]').length";
    let before = browser.eval(groups)?.as_u64();
    for _ in 0..4 {
        browser.press("+")?;
    }
    let title = "document.querySelector('#timeline svg').ariaLabel";
    expect(
        browser,
        title,
        &json!("Timeline of /mnt/rename-over-40/test1.txt"),
    )?;
    browser.press("0")?;
    let after = browser.eval(groups)?.as_u64();
    ensure!(before == after, "zooming back: {before:?}, {after:?}");
    browser.press("Tab")?;
    no_complaints(browser)
}

fn colours(browser: &mut Browser, page: &Path) -> Result<()> {
    let background = "getComputedStyle(document.body).backgroundColor";
    browser.prefer("light")?;
    browser.open(page, WINDOW)?;
    let light = browser.eval(background)?;
    browser.prefer("dark")?;
    // The page hears of it with the next frame.
    let wait = Instant::now();
    while browser.eval(background)? == light {
        ensure!(
            wait.elapsed() < Duration::from_secs(10),
            "light and dark are the same: {light}"
        );
        thread::sleep(Duration::from_millis(20));
    }
    browser.eval("document.getElementById('theme').click()")?;
    expect(browser, background, &light)?;
    browser.prefer("light")
}

fn noticed(browser: &mut Browser, page: &Path) -> Result<()> {
    browser.open(page, WINDOW)?;
    no_complaints(browser)?;
    expect(
        browser,
        "document.querySelectorAll('tr.old').length",
        &json!(6),
    )?;
    for part in ["timeline", "sequence"] {
        let change = format!("document.querySelectorAll('#{part} .change').length");
        expect(browser, &change, &json!(1))?;
    }
    let held = "document.getElementById('timeline').textContent.includes('held open (O_RDONLY)')";
    expect(browser, held, &json!(true))?;
    // The other name, by the keyboard.
    browser.eval("document.getElementById('list').focus()")?;
    browser.press("ArrowDown")?;
    expect(
        browser,
        "document.getElementById('title').textContent",
        &json!("/mnt/other.txt"),
    )?;
    no_complaints(browser)
}

fn delegation(browser: &mut Browser, page: &Path) -> Result<()> {
    browser.open(page, WINDOW)?;
    expect(browser, &marks("delegated"), &json!(13))?;
    let lane = "[...document.querySelectorAll('#timeline text')]\
                .some((it) => it.textContent === 'delegation')";
    expect(browser, lane, &json!(true))?;
    no_complaints(browser)
}

fn names(browser: &mut Browser) -> Result<()> {
    let page = workspace::root().join(NAMES);
    ensure!(
        page.exists(),
        "there is no {NAMES}: `cargo test -p nfs-trace --test recording html` writes it"
    );
    browser.open(&page, WINDOW)?;
    no_complaints(browser)?;
    expect(browser, "typeof window.harm", &json!("undefined"))?;
    expect(
        browser,
        "document.querySelectorAll('b.harm, img').length",
        &json!(0),
    )?;
    let shown = "document.getElementById('title').textContent.includes('</script>')";
    expect(browser, shown, &json!(true))
}

fn many(browser: &mut Browser, tools: &Tools) -> Result<()> {
    let recording = folder()?.join("many.nfst");
    let mut cargo = Command::new("cargo");
    tools.apply(&mut cargo)?;
    cargo
        .current_dir(workspace::root())
        .args(["run", "--quiet", "--locked", "--package", "nfs-trace"])
        .args(["--example", "generate", "--", "1", MANY.0])
        .arg(&recording)
        .arg(MANY.1);
    exec::run(&mut cargo)?;
    let page = page(tools, &recording.display().to_string(), "many")?;
    browser.open(&page, WINDOW)?;
    no_complaints(browser)?;
    let all = browser.eval("data.all")?.as_u64().unwrap_or(0);
    let kept = browser.eval("opens.length")?.as_u64().unwrap_or(0);
    ensure!(all > 100_000, "only {all} opens");
    ensure!((5_000..=16_384).contains(&kept), "{kept} opens are kept");
    let told = "document.getElementById('summary').textContent.includes('are in this page')";
    expect(browser, told, &json!(true))?;
    expect(browser, ROWS, &json!(200))?;
    let marks = "document.querySelectorAll('#timeline g').length";
    let drawn = browser.eval(marks)?.as_u64().unwrap_or(0);
    ensure!((1..5_000).contains(&drawn), "{drawn} marks");
    browser.press("/")?;
    browser.insert("worker76 cached")?;
    let found = browser.eval(ROWS)?.as_u64().unwrap_or(0);
    ensure!((1..200).contains(&found), "the filter finds {found}");
    no_complaints(browser)
}
