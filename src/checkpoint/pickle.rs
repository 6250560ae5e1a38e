//! Writes the pickle of a state_dict, as `torch.save(model.state_dict(), path)` lays it out.
//! The elements themselves go into separate zip entries; only shapes and names are pickled here.

use super::array::{Array, DType, contiguous_strides};
use super::opcode;

/// Pickles an `OrderedDict` of tensors; tensor `i` takes the storage `data/<i>`.
///
/// Nothing is memoized: each object is spelled out where it is used, which every unpickler accepts.
pub(super) fn state_dict(tensors: &[(String, Array)]) -> Vec<u8> {
    let mut out = Pickle(vec![opcode::PROTO, 2]);
    out.empty_ordered_dict();
    out.op(opcode::MARK);
    for (index, (name, array)) in tensors.iter().enumerate() {
        out.text(name);
        out.tensor(index, array);
    }
    out.op(opcode::SETITEMS);
    out.op(opcode::STOP);
    out.0
}

/// The instructions written so far.
struct Pickle(Vec<u8>);

impl Pickle {
    fn op(&mut self, code: u8) {
        self.0.push(code);
    }

    fn global(&mut self, module: &str, name: &str) {
        self.op(opcode::GLOBAL);
        self.0.extend_from_slice(format!("{module}\n{name}\n").as_bytes());
    }

    fn empty_ordered_dict(&mut self) {
        self.global("collections", "OrderedDict");
        self.op(opcode::EMPTY_TUPLE);
        self.op(opcode::REDUCE);
    }

    fn text(&mut self, text: &str) {
        let length = u32::try_from(text.len()).expect("save admits only short names");
        self.op(opcode::BINUNICODE);
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// BININT holds 32 bits; LONG1 counts its bytes, so that 8 of them hold any size.
    fn int(&mut self, value: usize) {
        if let Ok(small) = i32::try_from(value) {
            self.op(opcode::BININT);
            self.0.extend_from_slice(&small.to_le_bytes());
        } else {
            self.op(opcode::LONG1);
            self.op(8);
            self.0.extend_from_slice(&(value as u64).to_le_bytes());
        }
    }

    fn ints(&mut self, values: &[usize]) {
        self.op(opcode::MARK);
        for &value in values {
            self.int(value);
        }
        self.op(opcode::TUPLE);
    }

    /// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, backward_hooks)`
    fn tensor(&mut self, index: usize, array: &Array) {
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.op(opcode::MARK);
        self.storage(index, array);
        self.int(0);
        self.ints(array.shape());
        self.ints(&contiguous_strides(array.shape()));
        self.op(opcode::NEWFALSE);
        self.empty_ordered_dict();
        self.op(opcode::TUPLE);
        self.op(opcode::REDUCE);
    }

    /// The persistent id `('storage', type, key, location, element count)`.
    fn storage(&mut self, index: usize, array: &Array) {
        self.op(opcode::MARK);
        self.text("storage");
        self.global("torch", storage_type(array.dtype()));
        self.text(&index.to_string());
        self.text("cpu");
        self.int(array.element_count());
        self.op(opcode::TUPLE);
        self.op(opcode::BINPERSID);
    }
}

/// PyTorch's name for a storage of `dtype`.
pub(super) const fn storage_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "FloatStorage",
        DType::F64 => "DoubleStorage",
        DType::I64 => "LongStorage",
    }
}
