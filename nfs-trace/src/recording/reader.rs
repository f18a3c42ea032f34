//! Reads a recording from a file or a pipe, also while it is still being written, and goes on
//! behind damage. Memory is bounded whatever the bytes are.

use std::io::{self, Read};

use nfs_trace_ebpf::abi::ABI_VERSION;
use serde::de::DeserializeOwned;
use zerocopy::FromBytes as _;

use super::{
    Footer, Header,
    frame::{
        BYTE_ORDER, FIRST_MAJOR, FRAME, Frame, Kind, LARGEST, MAGIC, MAJOR, MARKER, PROLOGUE,
        Prologue,
    },
    item::{Damage, Item, Records, Refusal},
};

/// Most that is asked of the input at once.
const CHUNK: usize = 1 << 16;

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first file of the input.
    Start,
    /// Between blocks.
    Inside,
    /// Behind a footer.
    Behind,
    /// Nothing more will come.
    Over,
}

/// See the module.
pub struct Reader<R> {
    input: R,
    buffer: Vec<u8>,
    /// Where in the buffer the next byte is, and where in the input.
    next: usize,
    at: u64,
    input_ended: bool,
    place: Place,
    /// The next block's number.
    number: u32,
    /// Records of this file that were read.
    records: u64,
    /// Whether all of them were.
    whole: bool,
    /// The content of the block.
    content: Vec<u8>,
}

impl<R: Read> Reader<R> {
    /// A reader of this input, which needs no buffer of its own.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            next: 0,
            at: 0,
            input_ended: false,
            place: Place::Start,
            number: 0,
            records: 0,
            whole: true,
            content: Vec::new(),
        }
    }

    /// What comes next; nothing at the end.
    ///
    /// # Errors
    /// If the input fails, or is nothing that can be read.
    pub fn read(&mut self) -> Result<Option<Item<'_>>, Refusal> {
        loop {
            match self.place {
                Place::Over => return Ok(None),
                Place::Start => return self.begin().map(Some),
                Place::Behind => match self.behind()? {
                    Some(damage) => return Ok(Some(Item::Damage(damage))),
                    None => continue,
                },
                Place::Inside => {}
            }
            match self.block()? {
                Block::Content(frame, kind) => return Ok(Some(self.item(&frame, kind))),
                Block::Skipped => {}
                Block::Damage(damage) => {
                    self.whole = false;
                    return Ok(Some(Item::Damage(damage)));
                }
                Block::NextFile => return self.begin().map(Some),
                Block::NoEnd => {
                    self.place = Place::Over;
                    return Ok(Some(Item::NoEnd(self.at)));
                }
            }
        }
    }

    /// A file's first bytes and its header.
    fn begin<'a>(&mut self) -> Result<Item<'a>, Refusal> {
        let began = self.at;
        let short = |at: u64| Refusal::Short(at - began);
        self.place = Place::Over;
        let there = self.fill(PROLOGUE)?;
        let begins = there.min(MAGIC.len());
        if begins == 0 || self.bytes()[..begins] != MAGIC[..begins] {
            return Err(Refusal::NoRecording);
        }
        let (prologue, _) =
            Prologue::read_from_prefix(self.bytes()).map_err(|_| short(self.at + there as u64))?;
        if !(FIRST_MAJOR..=MAJOR).contains(&prologue.major.get()) {
            return Err(Refusal::Newer(prologue.major.get(), prologue.minor.get()));
        }
        match u32::from_ne_bytes(prologue.byte_order) {
            BYTE_ORDER => {}
            order if order.swap_bytes() == BYTE_ORDER => return Err(Refusal::ByteOrder),
            order => return Err(Refusal::Header(format!("byte order {order:#x}"))),
        }
        self.skip(PROLOGUE);
        self.number = 0;
        self.records = 0;
        self.whole = true;
        let header = match self.block()? {
            Block::Content(_, Kind::Header) => serde_json::from_slice::<Header>(&self.content)
                .map_err(|error| Refusal::Header(error.to_string()))?,
            Block::Damage(damage) if self.input_ended && self.bytes().is_empty() => {
                return Err(short(damage.at + damage.bytes));
            }
            Block::NoEnd => return Err(short(self.at)),
            Block::Damage(damage) => return Err(Refusal::Header(damage.why)),
            _ => return Err(Refusal::Header("it is not there".into())),
        };
        if header.session.abi_version != ABI_VERSION {
            return Err(Refusal::Abi(header.session.abi_version));
        }
        if !header.filters.are_possible() {
            return Err(Refusal::Header("no command line has such filters".into()));
        }
        self.place = Place::Inside;
        Ok(Item::Begin(Box::new(header)))
    }

    /// Behind a file there is nothing, or another one.
    fn behind(&mut self) -> io::Result<Option<Damage>> {
        let at = self.at;
        if self.fill(PROLOGUE)? == 0 {
            self.place = Place::Over;
        } else if self.bytes().starts_with(&MAGIC) {
            self.place = Place::Start;
        } else {
            let bytes = self.resync()?;
            let why = "bytes behind the end".into();
            return Ok(Some(Damage {
                at,
                bytes,
                records: None,
                why,
            }));
        }
        Ok(None)
    }

    /// The next block, its content in `self.content`.
    fn block(&mut self) -> io::Result<Block> {
        let at = self.at;
        let there = self.fill(FRAME)?;
        if there == 0 {
            return Ok(Block::NoEnd);
        }
        let damage = |bytes, records, why: String| {
            Ok(Block::Damage(Damage {
                at,
                bytes,
                records,
                why,
            }))
        };
        let Some(frame) = Frame::parse(self.bytes()) else {
            if self.bytes().starts_with(&MAGIC) {
                return Ok(Block::NextFile);
            }
            let bytes = self.resync()?;
            if there < FRAME {
                return damage(bytes, None, CUT.into());
            }
            return damage(bytes, None, self.missing("a block is damaged"));
        };
        let (number, stored) = (frame.number.get(), frame.stored.get() as usize);
        if stored > LARGEST || frame.plain.get() as usize > LARGEST {
            let bytes = self.resync()?;
            return damage(bytes, None, format!("a block claims {stored} bytes"));
        }
        let kind = Kind::from_u8(frame.kind);
        let records = (kind == Some(Kind::Records)).then(|| frame.records.get().into());
        match number.cmp(&self.number) {
            std::cmp::Ordering::Greater => {
                return damage(0, None, self.missing("blocks are missing"));
            }
            std::cmp::Ordering::Less => {
                let bytes = self.resync()?;
                return damage(bytes, None, "a block is out of its turn".into());
            }
            std::cmp::Ordering::Equal => {}
        }
        self.number = number.wrapping_add(1);
        let there = self.fill(FRAME + stored)?;
        if there < FRAME + stored {
            self.skip(there);
            return damage(there as u64, records, CUT.into());
        }
        let bytes = &self.buffer[self.next + FRAME..self.next + FRAME + stored];
        let content = frame.check(bytes).and_then(|()| match kind {
            Some(_) => frame.unpack(bytes, &mut self.content),
            None => Ok(()),
        });
        self.skip(FRAME + stored);
        let whole = (FRAME + stored) as u64;
        match (content, kind) {
            (Err(why), _) => damage(whole, records, why.into()),
            (Ok(()), None) => Ok(Block::Skipped),
            (Ok(()), Some(kind)) => {
                let is_records = kind == Kind::Records || kind == Kind::Known;
                if is_records && !Records(&self.content).are(frame.records.get()) {
                    return damage(whole, records, "its records do not fit into it".into());
                }
                Ok(Block::Content(frame, kind))
            }
        }
    }

    /// What the block means. Its checksum is right: what is not understood was never good.
    fn item(&mut self, frame: &Frame, kind: Kind) -> Item<'_> {
        let end = self.at;
        let item = match kind {
            Kind::Records => {
                self.records += u64::from(frame.records.get());
                Ok(Item::Records(Records(&self.content)))
            }
            Kind::Known => Ok(Item::Known(Records(&self.content))),
            Kind::Header => Err("a second header".into()),
            Kind::Interruption => json(&self.content).map(Item::Interruption),
            Kind::Resumption => json(&self.content).map(|it| Item::Resumption(Box::new(it))),
            Kind::Remark => json(&self.content).map(Item::Remark),
            Kind::Mounts => json(&self.content).map(Item::Mounts),
            Kind::Stack => json(&self.content).map(Item::Stack),
            Kind::Counts => json(&self.content).map(Item::Counts),
            Kind::Footer => json::<Footer>(&self.content).and_then(|footer| {
                self.place = Place::Behind;
                if self.whole && footer.records != self.records {
                    return Err(format!(
                        "there are {} records, and its end speaks of {}",
                        self.records, footer.records
                    ));
                }
                Ok(Item::End(footer))
            }),
        };
        item.unwrap_or_else(|why| {
            let bytes = (FRAME as u64) + u64::from(frame.stored.get());
            Item::Damage(Damage {
                at: end - bytes,
                bytes,
                records: None,
                why,
            })
        })
    }

    /// Goes on to what may be the next block or file, or to the end of the input. Returns the
    /// bytes left out, at least one.
    fn resync(&mut self) -> io::Result<u64> {
        let began = self.at;
        self.skip(1);
        loop {
            self.fill(FRAME)?;
            let bytes = self.bytes();
            let len = bytes.len();
            let may_begin = |byte: &u8| *byte == MARKER[0] || *byte == MAGIC[0];
            match bytes.iter().position(may_begin) {
                None if len == 0 => break,
                None => self.skip(len),
                Some(0) => {
                    if Frame::parse(bytes).is_some() || bytes.starts_with(&MAGIC) {
                        break;
                    }
                    self.skip(1);
                }
                Some(behind) => self.skip(behind),
            }
        }
        Ok(self.at - began)
    }

    /// What is wrong before the block that comes next, which is taken for the right one.
    fn missing(&mut self, what: &str) -> String {
        let Some(frame) = Frame::parse(self.bytes()) else {
            return what.into();
        };
        let missing = frame.number.get().saturating_sub(self.number);
        self.number = frame.number.get().max(self.number);
        format!("{what}, {missing} missing before the next")
    }

    /// What is there of the input.
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.next..]
    }

    fn skip(&mut self, bytes: usize) {
        self.next += bytes;
        self.at += bytes as u64;
    }

    /// Reads until `wanted` bytes are there, or the input ends. Returns how many of them are.
    fn fill(&mut self, wanted: usize) -> io::Result<usize> {
        while self.bytes().len() < wanted && !self.input_ended {
            self.buffer.drain(..self.next);
            self.next = 0;
            let there = self.buffer.len();
            self.buffer.resize(there + CHUNK, 0);
            let read = match self.input.read(&mut self.buffer[there..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
                read => read.map(Some),
            };
            self.buffer
                .truncate(there + read.as_ref().ok().copied().flatten().unwrap_or(0));
            self.input_ended = read? == Some(0);
        }
        Ok(self.bytes().len().min(wanted))
    }
}

const CUT: &str = "the file ends inside a block";

/// What there is where a block should be.
enum Block {
    Content(Frame, Kind),
    /// Of a kind that a later version brought.
    Skipped,
    Damage(Damage),
    NextFile,
    NoEnd,
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("it is not understood: {error}"))
}
