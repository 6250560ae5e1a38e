//! Writes the pickle of a state_dict, as `torch.save(model.state_dict(), path)` lays it out.
//! The elements themselves go into separate zip entries; only shapes and names are pickled here.

use super::array::{Array, DType, contiguous_strides};

// The instructions, spelled as Python's pickle module does: `c` GLOBAL, `(` MARK, `X` BINUNICODE,
// `J` BININT, 0x8a LONG1, 0x89 NEWFALSE, `t` TUPLE, `)` EMPTY_TUPLE, `Q` BINPERSID, `R` REDUCE,
// `u` SETITEMS, 0x80 PROTO, `.` STOP. Nothing is memoized: each object is spelled out where it is
// used, which every unpickler accepts.
const EMPTY_ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";
const REBUILD_TENSOR: &[u8] = b"ctorch._utils\n_rebuild_tensor_v2\n";

/// Pickles an `OrderedDict` of tensors; tensor `i` takes the storage `data/<i>`.
pub(super) fn state_dict(tensors: &[(String, Array)]) -> Vec<u8> {
    let mut out = [b"\x80\x02", EMPTY_ORDERED_DICT, b"("].concat();
    for (index, (name, array)) in tensors.iter().enumerate() {
        put_text(&mut out, name);
        put_tensor(&mut out, index, array);
    }
    out.extend(b"u.");
    out
}

/// `_rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, backward_hooks)`, where the
/// storage is the persistent id `('storage', type, key, location, element count)`.
pub(super) fn put_tensor(out: &mut Vec<u8>, index: usize, array: &Array) {
    out.extend(REBUILD_TENSOR);
    out.extend(b"((");
    put_text(out, "storage");
    out.extend(format!("ctorch\n{}\n", storage_type(array.dtype())).bytes());
    put_text(out, &index.to_string());
    put_text(out, "cpu");
    put_int(out, array.element_count());
    out.extend(b"tQ");
    put_int(out, 0);
    put_ints(out, array.shape());
    put_ints(out, &contiguous_strides(array.shape()));
    out.push(0x89);
    out.extend(EMPTY_ORDERED_DICT);
    out.extend(b"tR");
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).expect("save admits only short names");
    out.push(b'X');
    out.extend(length.to_le_bytes());
    out.extend(text.bytes());
}

fn put_ints(out: &mut Vec<u8>, values: &[usize]) {
    out.push(b'(');
    for &value in values {
        put_int(out, value);
    }
    out.push(b't');
}

/// BININT holds 32 bits; LONG1 counts its bytes, so that 8 of them hold any size.
fn put_int(out: &mut Vec<u8>, value: usize) {
    if let Ok(small) = i32::try_from(value) {
        out.push(b'J');
        out.extend(small.to_le_bytes());
    } else {
        out.extend([0x8a, 8]);
        out.extend((value as u64).to_le_bytes());
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
