//! A headless Chromium, driven through its DevTools protocol over a pipe: no port, no library.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::cache;

/// An answer that takes longer will not come.
const PATIENCE: Duration = Duration::from_secs(60);
/// It reads commands from descriptor 3 and writes to 4; these are our pipes.
const SCRIPT: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#;

/// One browser with one page.
pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Vec<u8>>,
    session: Option<String>,
    next: u64,
    complaints: Vec<String>,
    /// What may be fetched.
    url: String,
    /// Pages that came to their end of loading.
    loaded: bool,
}

impl Browser {
    /// Starts it; `folder` is for its profile and its log.
    pub(crate) fn start(program: &Path, folder: &Path) -> Result<Self> {
        let profile = folder.join("profile");
        cache::remove_dir(&profile)?;
        cache::create_dir(&profile)?;
        let log = folder.join("browser.log");
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT])
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe"])
            // It shows nothing but our own files, perhaps as root.
            .args(["--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--no-first-run", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).with_context(|| format!("create {}", log.display()))?);
        let mut child = command.spawn().context("start sh")?;
        let input = child.stdin.take().context("no pipe to the browser")?;
        let output = child.stdout.take().context("no pipe from the browser")?;
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            loop {
                let mut message = Vec::new();
                match output.read_until(0, &mut message) {
                    Ok(length) if length > 0 && sender.send(message).is_ok() => {}
                    _ => return,
                }
            }
        });
        let mut browser = Self {
            child,
            input,
            messages,
            session: None,
            next: 0,
            complaints: Vec::new(),
            url: String::new(),
            loaded: false,
        };
        browser
            .attach()
            .with_context(|| format!("talk to {} ({})", program.display(), log.display()))?;
        Ok(browser)
    }

    fn attach(&mut self) -> Result<()> {
        let target = self.call("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attached = self.call(
            "Target.attachToTarget",
            &json!({ "targetId": target["targetId"], "flatten": true }),
        )?;
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}))?;
        }
        Ok(())
    }

    /// Loads a file, in a window of this size, and forgets complaints of before.
    pub(crate) fn open(&mut self, file: &Path, (width, height): (u32, u32)) -> Result<()> {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false }),
        )?;
        self.complaints.clear();
        self.loaded = false;
        self.url = format!("file://{}", file.display());
        let url = self.url.clone();
        self.call("Page.navigate", &json!({ "url": url }))?;
        while !self.loaded {
            let message = self.receive()?;
            self.event(&message);
        }
        Ok(())
    }

    /// What a script comes to.
    pub(crate) fn eval(&mut self, script: &str) -> Result<Value> {
        let answer = self.call(
            "Runtime.evaluate",
            &json!({ "expression": script, "returnByValue": true }),
        )?;
        if let Some(thrown) = answer.get("exceptionDetails") {
            bail!("{script}: {thrown}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Presses a key, as a person does: `ArrowRight`, `/`.
    pub(crate) fn press(&mut self, key: &str) -> Result<()> {
        let code = match key {
            "ArrowLeft" => 37,
            "ArrowRight" => 39,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            "Escape" => 27,
            "Enter" => 13,
            "Tab" => 9,
            _ => 0,
        };
        let text = (key.len() == 1).then_some(key);
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({ "type": kind, "key": key, "windowsVirtualKeyCode": code });
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", &event)?;
        }
        Ok(())
    }

    /// Types a text where the focus is.
    pub(crate) fn insert(&mut self, text: &str) -> Result<()> {
        self.call("Input.insertText", &json!({ "text": text }))?;
        Ok(())
    }

    /// What the person prefers: `light` or `dark`.
    pub(crate) fn prefer(&mut self, scheme: &str) -> Result<()> {
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.call(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [feature] }),
        )?;
        Ok(())
    }

    /// A picture of the window, as PNG.
    pub(crate) fn screenshot(&mut self, file: &Path) -> Result<()> {
        let answer = self.call("Page.captureScreenshot", &json!({ "format": "png" }))?;
        let text = answer["data"].as_str().context("no picture")?;
        cache::write(file, base64(text)?)
    }

    /// Errors and warnings of the page since it was opened, and what it wanted to fetch.
    pub(crate) fn complaints(&mut self) -> Result<Vec<String>> {
        // All that came before its answer has been heard.
        self.eval("0")?;
        Ok(self.complaints.clone())
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&message)?;
        bytes.push(0);
        self.input
            .write_all(&bytes)
            .and_then(|()| self.input.flush())
            .context("the browser is gone")?;
        loop {
            let answer = self.receive()?;
            if answer["id"] != json!(id) {
                self.event(&answer);
                continue;
            }
            if let Some(error) = answer.get("error") {
                bail!("{method}: {error}");
            }
            return Ok(answer["result"].clone());
        }
    }

    fn receive(&mut self) -> Result<Value> {
        let bytes = self
            .messages
            .recv_timeout(PATIENCE)
            .context("the browser says nothing more")?;
        let text = bytes.strip_suffix(&[0]).unwrap_or(&bytes);
        serde_json::from_slice(text).context("read what the browser says")
    }

    fn event(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Page.loadEventFired") => self.loaded = true,
            Some("Runtime.exceptionThrown") => {
                let details = &params["exceptionDetails"];
                self.complaints.push(format!("exception: {details}"));
            }
            Some("Runtime.consoleAPICalled") => {
                self.complaints.push(format!("console: {params}"));
            }
            Some("Log.entryAdded") => self.complaints.push(format!("log: {}", params["entry"])),
            Some("Network.requestWillBeSent") => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                if url != self.url && !url.starts_with("data:") {
                    self.complaints.push(format!("fetches {url}"));
                }
            }
            _ => {}
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.call("Browser.close", &json!({}));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, by the names that it has.
pub(crate) fn find() -> Option<PathBuf> {
    ["chromium-headless-shell", "chromium", "google-chrome"]
        .iter()
        .find_map(|name| crate::exec::find(name))
}

fn base64(text: &str) -> Result<Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut have) = (0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let digit = DIGITS.iter().position(|digit| *digit == byte);
        let digit = digit.context("the picture is not base64")?;
        bits = bits << 6 | u32::try_from(digit)?;
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have & 0xff).try_into()?);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("TQ==", b"M"),
            ("TWE=", b"Ma"),
            ("TWFu", b"Man"),
        ] {
            assert_eq!(base64(text).unwrap(), bytes);
        }
        assert!(base64("T-Fu").is_err());
    }
}
