//! What is printed: stacks, text for people, paths.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::{
    Held,
    ground::{Ground, read},
    held, kernel,
    tool::Tool,
};
use crate::{tracer, workload};

/// Opens of `rename-over` together with the held one.
const ROWS: usize = 12;

pub(super) fn stack(ground: &Ground) -> Result<Held> {
    if tracer::transport() == Some("perf") || !kernel::is_at_least((5, 8))? {
        Tool::run(&["trace", "--stack"])?.refuses(69, &["--stack", "ring buffer"])?;
        return held("refused: stacks come with the ring buffer alone");
    }
    // One after the other: before 5.16 no stack goes on behind another one's kretprobe.
    let json = Tool::armed(&["--stack", "--format", "json", "--mount", "/mnt"])?;
    ground.opens("alpha", 5, "a")?;
    let report = json.report()?;
    report.expect(5)?;
    for (row, function) in report
        .rows
        .iter()
        .zip(std::iter::once("nfs_atomic_open").chain(std::iter::repeat("nfs4_file_open")))
    {
        let frames: Vec<&str> = row["stack"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|it| it.as_str())
            .collect();
        for function in [function, "path_openat", "do_sys_openat2"] {
            ensure!(
                frames
                    .iter()
                    .any(|frame| frame.starts_with(&format!("{function}+"))),
                "no {function} in {frames:?}"
            );
        }
        ensure!(
            frames.iter().all(|frame| !frame.starts_with("0x")),
            "a frame without a name in {frames:?}"
        );
    }
    let text = Tool::armed(&["--stack", "--mount", "/mnt"])?;
    ground.opens("alpha", 5, "b")?;
    let ended = text.stop()?;
    ended.expect(0)?;
    let named = |name: &str| {
        let at = format!("at {name}+0x");
        ended
            .out
            .lines()
            .filter(|line| line.trim_start().starts_with(&at))
            .count()
    };
    ensure!(
        (
            named("nfs_atomic_open"),
            named("nfs4_file_open"),
            named("path_openat")
        ) == (1, 4, 5),
        "frames in text: {}",
        ended.out
    );
    held("every frame of 5 stacks has a name")
}

pub(super) fn text(ground: &Ground) -> Result<Held> {
    workload::prepare("rename-over", &ground.server, &ground.client)?;
    let evil = "a\nb\x1b[31m";
    ground.file(evil)?;
    let tool = Tool::armed(&["-v", "--mount", "/mnt"])?;
    ground.rename_over()?;
    read("beta", 1, &ground.name(evil))?;
    let ended = tool.stop()?;
    ended.expect(0)?;

    let mut lines = ended.out.lines();
    let header = lines.next().context("find the header")?;
    let titles = [
        "TIME",
        "PID",
        "COMMAND",
        "PATH",
        "NAME CHECK",
        "OPEN PATH",
        "RESULT",
        "LATENCY",
    ];
    ensure!(
        titles.iter().all(|title| header.contains(title)) && header.chars().count() <= 100,
        "header: {header}"
    );
    // Steps and remarks are indented.
    let (steps, rows): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with("   "));
    ensure!(rows.len() == ROWS + 1, "{} rows: {}", rows.len(), ended.out);
    // Before 4.18 the check of a name over v4.1 finds that the file has no link left.
    let refuses = !kernel::is_at_least((4, 18))?;
    let column = header.find("OPEN PATH").context("find the column")?;
    let mut cached = 0;
    for row in &rows {
        ensure!(row.chars().count() <= 100, "wider than 100: {row}");
        let word: String = row
            .chars()
            .skip(column)
            .take_while(|it| *it != ' ')
            .collect();
        ensure!(
            ["CACHED", "wire", "atomic"].contains(&&*word) || (refuses && word == "failed"),
            "open path `{word}` in: {row}"
        );
        cached += usize::from(word == "CACHED");
    }
    ensure!(
        steps
            .iter()
            .filter(|step| step.contains("nfs4_file_open "))
            .count()
            >= ROWS - 1
            && steps
                .iter()
                .any(|step| step.contains("revalidate (RCU walk)")),
        "steps: {}",
        ended.out
    );
    ensure!(
        rows[ROWS].contains("/mnt/text/a\\x0ab\\x1b[31m ") && !ended.out.contains('\x1b'),
        "the hostile name: {}",
        rows[ROWS]
    );
    let footer = format!("{} opens: ", ROWS + 1);
    ensure!(
        ended.err.contains(&footer) && ended.err.contains("nothing lost"),
        "footer: {}",
        ended.err
    );
    let said = match cached {
        0 => !ended.err.contains("cached"),
        _ => ended.err.contains(&format!("{cached} cached")),
    };
    ensure!(
        said,
        "{cached} rows say CACHED, the footer says: {}",
        ended.err
    );
    held(format!(
        "{} rows of at most 100 columns, {cached} of them CACHED",
        rows.len()
    ))
}

pub(super) fn deep_path(ground: &Ground) -> Result<Held> {
    let folders = |top: &str| -> String {
        let below: Vec<String> = (2..=20).map(|level| format!("level{level}")).collect();
        format!("{top}/{}/leaf", below.join("/"))
    };
    let first = folders("first");
    ground.file(&first)?;
    let tool = Tool::armed(&["--format", "json", "--mount", "/mnt"])?;
    ground.opens("alpha", 3, &first)?;
    // By the client itself, then behind its back.
    fs::rename(ground.client.join("first"), ground.client.join("second"))
        .context("rename on the client")?;
    let second = folders("second");
    read("alpha", 3, &ground.name(&second))?;
    fs::rename(ground.server.join("second"), ground.server.join("third"))
        .context("rename on the server")?;
    let third = folders("third");
    read("alpha", 3, &ground.name(&third))?;
    let report = tool.report()?;
    report.expect(9)?;
    for (rows, path) in report.rows.chunks(3).zip([&first, &second, &third]) {
        for row in rows {
            ensure!(
                row["path"] == format!("deep-path/{path}"),
                "path {} instead of deep-path/{path}",
                row["path"]
            );
        }
    }
    held("9 full paths")
}
