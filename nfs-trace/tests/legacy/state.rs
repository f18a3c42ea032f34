//! What 4.4's verifier knows at an instruction: the type of each register, and what each
//! byte of the stack holds.

const STACK: i32 = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reg {
    Unset,
    Unknown,
    Constant(i32),
    Context,
    Map(usize),
    Value(usize),
    ValueOrNull(usize),
    Frame,
    Stack(i32),
}

impl Reg {
    pub(crate) fn is_pointer(self) -> bool {
        !matches!(self, Self::Unset | Self::Unknown | Self::Constant(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Byte {
    Unset,
    Spilled,
    Written,
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) regs: [Reg; 11],
    bytes: [Byte; STACK as usize],
    spilled: [Reg; STACK as usize / 8],
}

impl State {
    pub(crate) fn new() -> Self {
        let mut regs = [Reg::Unset; 11];
        regs[1] = Reg::Context;
        regs[10] = Reg::Frame;
        Self {
            regs,
            bytes: [Byte::Unset; STACK as usize],
            spilled: [Reg::Unset; STACK as usize / 8],
        }
    }

    /// Whether what is safe after this state is safe after `now` (states_equal).
    pub(crate) fn covers(&self, now: &Self) -> bool {
        let regs = self.regs.iter().zip(&now.regs).all(|(old, now)| {
            old == now || *old == Reg::Unset || (*old == Reg::Unknown && *now != Reg::Unset)
        });
        let bytes = |at: usize| {
            let old = self.bytes[at];
            old == Byte::Unset
                || (old == now.bytes[at] && self.spilled[at / 8] == now.spilled[at / 8])
        };
        regs && (0..STACK as usize).all(bytes)
    }

    pub(crate) fn read(&self, reg: u8) -> Result<Reg, String> {
        match self.regs[usize::from(reg)] {
            Reg::Unset => Err(format!("R{reg} is read and never written")),
            value => Ok(value),
        }
    }

    pub(crate) fn write(&mut self, reg: u8, value: Reg) -> Result<(), String> {
        if reg >= 10 {
            return Err("the frame pointer is written".into());
        }
        self.regs[usize::from(reg)] = value;
        Ok(())
    }

    /// Index of the first of `size` bytes at `off`.
    fn place(off: i32, size: i32) -> Result<usize, String> {
        if size <= 0 || off < -STACK || off + size > 0 {
            return Err(format!("{size} bytes at {off} are not on the stack"));
        }
        Ok((STACK + off) as usize)
    }

    pub(crate) fn store(&mut self, off: i32, size: i32, value: Option<Reg>) -> Result<(), String> {
        let at = Self::place(off, size)?;
        match value.filter(|value| value.is_pointer()) {
            Some(_) if size != 8 => Err("part of a pointer is spilled".into()),
            Some(pointer) => {
                self.spilled[at / 8] = pointer;
                self.bytes[at..at + 8].fill(Byte::Spilled);
                Ok(())
            }
            None => {
                self.spilled[at / 8] = Reg::Unset;
                self.bytes[at..at + size as usize].fill(Byte::Written);
                Ok(())
            }
        }
    }

    pub(crate) fn load(&self, off: i32, size: i32) -> Result<Reg, String> {
        let at = Self::place(off, size)?;
        let bytes = &self.bytes[at..at + size as usize];
        if bytes[0] == Byte::Spilled {
            if size != 8 || bytes.iter().any(|byte| *byte != Byte::Spilled) {
                return Err(format!("part of a spilled pointer is read at {off}"));
            }
            return Ok(self.spilled[at / 8]);
        }
        match bytes.iter().position(|byte| *byte != Byte::Written) {
            Some(byte) => Err(format!(
                "stack byte {} is read unwritten",
                off + byte as i32
            )),
            None => Ok(Reg::Unknown),
        }
    }

    /// A helper's memory: on the stack, and written.
    pub(crate) fn memory(&self, reg: u8, size: i32) -> Result<(), String> {
        let Reg::Stack(off) = self.read(reg)? else {
            return Err(format!("R{reg} is no memory on the stack"));
        };
        let at = Self::place(off, size)?;
        match self.bytes[at..at + size as usize]
            .iter()
            .position(|byte| *byte != Byte::Written)
        {
            Some(byte) => Err(format!(
                "byte {byte} of R{reg}'s memory at {off} is unwritten"
            )),
            None => Ok(()),
        }
    }
}
