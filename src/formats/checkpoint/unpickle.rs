//! Reads the pickle instructions of `torch.save` with a machine that can only build plain objects.
//! It knows stacks, marks and memo; what a class or a call means is decided in `rebuild`.

use std::collections::HashMap;
use std::mem;

use super::error::Fault;
use super::opcode;
use super::rebuild::{Class, Heap, Id, Object};

/// The most instructions that a pickle may have. Each costs at most about a hundred bytes of memory,
/// so this bounds it at 100 MB; a tensor takes about fifty, and 200 with the most axes, so the most
/// tensors of a file fit.
const MAX_INSTRUCTIONS: usize = 1 << 20;

/// Runs a pickle; returns all objects and the place of the one that it stands for.
pub(super) fn unpickle(pickle: &[u8]) -> Result<(Heap, Id), Fault> {
    let mut machine = Machine { rest: pickle, ..Machine::default() };
    for _ in 0..MAX_INSTRUCTIONS {
        let code = machine.byte()?;
        if code == opcode::STOP {
            let root = machine.pop()?;
            return Ok((machine.heap, root));
        }
        machine.step(code)?;
    }
    let limit = format!("more than {MAX_INSTRUCTIONS} pickle instructions");
    Err(Fault::TooLarge(limit))
}

#[derive(Default)]
struct Machine<'a> {
    /// What is still to be read.
    rest: &'a [u8],
    stack: Vec<Id>,
    /// The stacks set aside at each open MARK, which starts a new one.
    marked: Vec<Vec<Id>>,
    memo: HashMap<u32, Id>,
    heap: Heap,
}

impl<'a> Machine<'a> {
    fn step(&mut self, code: u8) -> Result<(), Fault> {
        match code {
            opcode::PROTO => drop(self.byte()?),
            opcode::MARK => self.marked.push(mem::take(&mut self.stack)),
            opcode::NONE => self.push(Object::None),
            opcode::NEWTRUE | opcode::NEWFALSE => self.push(Object::Bool),
            opcode::BININT1 | opcode::BININT2 | opcode::BININT | opcode::LONG1 => {
                let value = self.int(code)?;
                self.push(Object::Int(value));
            }
            opcode::BINFLOAT => {
                self.bytes::<8>()?;
                self.push(Object::Float);
            }
            opcode::BINUNICODE => {
                let length = u32::from_le_bytes(self.bytes()?);
                let text = utf8(self.take(length as usize)?)?;
                self.push(Object::Text(text.into()));
            }
            opcode::EMPTY_TUPLE => self.push(Object::Tuple(Vec::new())),
            opcode::TUPLE1 => self.tuple(1)?,
            opcode::TUPLE2 => self.tuple(2)?,
            opcode::TUPLE3 => self.tuple(3)?,
            opcode::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Object::Tuple(items));
            }
            opcode::EMPTY_LIST => self.push(Object::List),
            opcode::APPENDS => drop(self.pop_to_mark()?),
            opcode::EMPTY_DICT => self.push(Object::Dict(Vec::new())),
            opcode::SETITEM => {
                let items = self.pop_many(2)?;
                self.set_items(&items)?;
            }
            opcode::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            opcode::BINPUT | opcode::LONG_BINPUT => {
                let slot = self.slot(code == opcode::BINPUT)?;
                let top = self.top()?;
                self.memo.insert(slot, top);
            }
            opcode::BINGET | opcode::LONG_BINGET => {
                let slot = self.slot(code == opcode::BINGET)?;
                let id = *self.memo.get(&slot).ok_or_else(broken)?;
                self.stack.push(id);
            }
            opcode::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                let class = Class::find(module, name)?;
                self.push(Object::Class(class));
            }
            opcode::REDUCE => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                let object = self.heap.call(class, arguments)?;
                self.push(object);
            }
            // Lists are not kept. The state of a state_dict is `_metadata`: version numbers of the
            // modules' layouts, which concern PyTorch's own upgrades.
            opcode::APPEND | opcode::BUILD => drop(self.pop()?),
            opcode::BINPERSID => {
                let id = self.pop()?;
                let storage = self.heap.storage(id)?;
                self.push(storage);
            }
            other => return Err(Fault::Instruction(other)),
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(ended)?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(ended)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        let [byte] = self.bytes()?;
        Ok(byte)
    }

    fn line(&mut self) -> Result<&'a str, Fault> {
        let end = self.rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(end.ok_or_else(ended)?)?;
        self.byte()?;
        utf8(line)
    }

    fn int(&mut self, code: u8) -> Result<i64, Fault> {
        Ok(match code {
            opcode::BININT1 => self.byte()?.into(),
            opcode::BININT2 => u16::from_le_bytes(self.bytes()?).into(),
            opcode::BININT => i32::from_le_bytes(self.bytes()?).into(),
            _ => {
                let length = self.byte()?;
                long(self.take(length.into())?)?
            }
        })
    }

    fn slot(&mut self, short: bool) -> Result<u32, Fault> {
        Ok(if short { self.byte()?.into() } else { u32::from_le_bytes(self.bytes()?) })
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.heap.0.len());
        self.heap.0.push(object);
    }

    fn top(&self) -> Result<Id, Fault> {
        self.stack.last().copied().ok_or_else(broken)
    }

    fn pop(&mut self) -> Result<Id, Fault> {
        self.stack.pop().ok_or_else(broken)
    }

    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, Fault> {
        let start = self.stack.len().checked_sub(count).ok_or_else(broken)?;
        Ok(self.stack.split_off(start))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let outer = self.marked.pop().ok_or_else(broken)?;
        Ok(mem::replace(&mut self.stack, outer))
    }

    fn tuple(&mut self, count: usize) -> Result<(), Fault> {
        let items = self.pop_many(count)?;
        self.push(Object::Tuple(items));
        Ok(())
    }

    /// Puts alternating keys and values into the dict on top of the stack.
    fn set_items(&mut self, items: &[Id]) -> Result<(), Fault> {
        let dict = self.top()?;
        match (&mut self.heap.0[dict], items.as_chunks()) {
            (Object::Dict(entries), (pairs, [])) => entries.extend_from_slice(pairs),
            _ => return Err(broken()),
        }
        Ok(())
    }
}

/// A little-endian two's complement number of up to 8 bytes; none is zero.
fn long(bytes: &[u8]) -> Result<i64, Fault> {
    let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
    let mut whole = [sign; 8];
    whole
        .get_mut(..bytes.len())
        .ok_or_else(|| Fault::damaged("its pickle holds a number beyond 64 bits"))?
        .copy_from_slice(bytes);
    Ok(i64::from_le_bytes(whole))
}

fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes)
        .map_err(|_| Fault::damaged("its pickle holds text that is not UTF-8"))
}

fn ended() -> Fault {
    Fault::Truncated("its pickle ends too early".to_owned())
}

fn broken() -> Fault {
    Fault::damaged("its pickle uses values that it has not made")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(pickle: &[u8]) -> Object {
        let (mut heap, root) = unpickle(pickle).ok().unwrap();
        mem::replace(&mut heap.0[root], Object::None)
    }

    fn fault(pickle: &[u8]) -> String {
        unpickle(pickle).err().unwrap().to_string()
    }

    #[test]
    fn integers_of_every_width_are_read() {
        let cases: [(&[u8], i64); 8] = [
            (b"K\xff.", 255),
            (b"M\x00\x80.", 0x8000),
            (b"J\xfe\xff\xff\xff.", -2),
            (b"\x8a\x00.", 0),
            (b"\x8a\x01\xff.", -1),
            (b"\x8a\x02\xff\x00.", 255),
            (b"\x8a\x05\x00\x00\x00\x00\x01.", 1 << 32),
            (b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.", i64::MAX),
        ];
        for (pickle, expected) in cases {
            assert!(matches!(root(pickle), Object::Int(value) if value == expected));
        }
    }

    #[test]
    fn an_integer_beyond_64_bits_is_refused() {
        assert!(fault(b"\x8a\x09\0\0\0\0\0\0\0\0\0.").contains("64 bits"));
    }

    #[test]
    fn both_widths_of_the_memo_name_the_same_slots() {
        assert!(matches!(root(b"K\x07r\x02\0\0\0Nh\x02."), Object::Int(7)));
        assert!(matches!(root(b"K\x07q\x02Nj\x02\0\0\0."), Object::Int(7)));
    }

    #[test]
    fn an_empty_memo_slot_is_refused() {
        assert!(fault(b"h\x05.").contains("has not made"));
    }

    #[test]
    fn an_empty_stack_is_refused() {
        for pickle in [&b"."[..], b"R", b"s", b"b", b"q\0", b"t", b"u", b"e", b"\x87", b"Q"] {
            assert!(fault(pickle).contains("has not made"), "{pickle:?}");
        }
    }

    #[test]
    fn a_mark_protects_what_lies_below_it() {
        for pickle in [&b"N(."[..], b"N(a", b"N(\x85", b"}NN(s", b"N(q\0"] {
            assert!(fault(pickle).contains("has not made"), "{pickle:?}");
        }
    }

    #[test]
    fn a_key_without_a_value_is_refused() {
        assert!(fault(b"}(NNNu.").contains("has not made"));
    }

    #[test]
    fn a_pickle_may_end_nowhere_but_at_stop() {
        let whole = b"\x80\x02}X\x01\0\0\0aJ\x01\0\0\0s.";
        assert!(unpickle(whole).is_ok());
        for end in 0..whole.len() {
            assert!(fault(&whole[..end]).contains("ends too early"), "{end}");
        }
    }

    #[test]
    fn a_text_longer_than_the_file_allocates_nothing() {
        assert!(fault(b"X\xff\xff\xff\xffabc").contains("ends too early"));
    }

    #[test]
    fn an_unknown_instruction_is_refused_by_number() {
        assert!(fault(b"\x95\0\0\0\0\0\0\0\0").contains("0x95"));
    }

    #[test]
    fn deep_nesting_needs_no_deep_stack() {
        let mut pickle = vec![opcode::NONE];
        pickle.resize(MAX_INSTRUCTIONS - 1, opcode::TUPLE1);
        pickle.push(opcode::STOP);
        assert!(matches!(root(&pickle), Object::Tuple(_)));
    }

    #[test]
    fn endless_instructions_are_refused() {
        let pickle = vec![opcode::NONE; MAX_INSTRUCTIONS + 1];
        assert!(fault(&pickle).contains("too much for a state_dict"));
    }
}
