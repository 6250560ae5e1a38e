//! TorchScript archives: the container of `.pt` files, with modules in place of a state dict, and the
//! code that they run.

use std::collections::BTreeMap;
use std::io::Cursor;

use zip::ZipWriter;
use zip::result::ZipResult;

use super::array::Array;
use super::pickle::{put_tensor, put_text};
use super::pt::add;

/// The version of the operators that the code means; PyTorch reads it since 1.13.
const VERSION: &[u8] = b"10\n";
/// A pickled empty tuple: the code's constants stand in the code itself.
const NO_CONSTANTS: &[u8] = b"\x80\x02).";

/// A module with its tensors and its own modules.
#[derive(Debug)]
pub struct Module<'a> {
    /// `__torch__.convae.Encoder`; all of one model lie in one file.
    pub class: String,
    /// The name that its owner has for it.
    pub name: String,
    /// By their names.
    pub tensors: Vec<(String, &'a Array)>,
    /// Each is also an attribute of this one.
    pub modules: Vec<Module<'a>>,
}

/// Lays out an archive that `torch.jit.load` and libtorch open. The `records` are extra files.
///
/// # Errors
/// None that such modules can cause.
pub fn to_bytes(
    root: &Module<'_>,
    source: &str,
    records: &BTreeMap<String, String>,
) -> ZipResult<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut pickle = Pickle { out: b"\x80\x02".to_vec(), storages: Vec::new() };
    pickle.put(root);
    pickle.out.push(b'.');
    add(&mut zip, "data.pkl", &pickle.out)?;
    add(&mut zip, "byteorder", b"little")?;
    for (index, array) in pickle.storages.iter().enumerate() {
        add(&mut zip, &format!("data/{index}"), array.bytes())?;
    }
    let (namespace, _) = root.class.rsplit_once('.').unwrap_or_default();
    add(&mut zip, &format!("code/{}.py", namespace.replace('.', "/")), source.as_bytes())?;
    add(&mut zip, "constants.pkl", NO_CONSTANTS)?;
    add(&mut zip, "version", VERSION)?;
    for (name, text) in records {
        add(&mut zip, &format!("extra/{name}"), text.as_bytes())?;
    }
    Ok(zip.finish()?.into_inner())
}

struct Pickle<'a> {
    out: Vec<u8>,
    storages: Vec<&'a Array>,
}

impl<'a> Pickle<'a> {
    /// `c` GLOBAL, `)` EMPTY_TUPLE, 0x81 NEWOBJ, `}` EMPTY_DICT, `(` MARK, the attributes, 0x89
    /// NEWFALSE, `u` SETITEMS, `b` BUILD.
    fn put(&mut self, module: &Module<'a>) {
        let (namespace, class) = module.class.rsplit_once('.').unwrap_or_default();
        self.out.extend(format!("c{namespace}\n{class}\n").bytes());
        self.out.extend(b")\x81}(");
        for &(ref name, array) in &module.tensors {
            put_text(&mut self.out, name);
            put_tensor(&mut self.out, self.storages.len(), array);
            self.storages.push(array);
        }
        put_text(&mut self.out, "training");
        self.out.push(0x89);
        for child in &module.modules {
            put_text(&mut self.out, &child.name);
            self.put(child);
        }
        self.out.extend(b"ub");
    }
}
