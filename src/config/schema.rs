//! How typed sections are read out of a [`Node`] tree, and described: one declaration of a section
//! yields its struct, its reader, its writer and its page of the reference, so that they cannot part.

use std::any::Any;
use std::borrow::Cow;
use std::path::PathBuf;

use super::ConfigError;
use super::node::{Node, Origin, Value, join};

/// The numbers that a key takes.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    low: f64,
    high: f64,
    /// Whether `low` and `high` themselves are refused.
    open: (bool, bool),
}

impl Bounds {
    /// From `low` to `high`, both allowed.
    #[must_use]
    pub const fn closed(low: f64, high: f64) -> Self {
        Self { low, high, open: (false, false) }
    }

    /// Above `low`, up to `high`.
    #[must_use]
    pub const fn above(low: f64, high: f64) -> Self {
        Self { low, high, open: (true, false) }
    }

    /// From `low`, below `high`.
    #[must_use]
    pub const fn below(low: f64, high: f64) -> Self {
        Self { low, high, open: (false, true) }
    }

    /// Above `low`, below `high`.
    #[must_use]
    pub const fn between(low: f64, high: f64) -> Self {
        Self { low, high, open: (true, true) }
    }

    fn hold(&self, number: f64) -> bool {
        let above = if self.open.0 { number > self.low } else { number >= self.low };
        let below = if self.open.1 { number < self.high } else { number <= self.high };
        above && below
    }

    /// In words, for messages and the reference.
    #[must_use]
    pub fn describe(&self) -> String {
        let Self { low, high, .. } = self;
        match self.open {
            (true, _) if high.is_infinite() => format!("above {low}"),
            (false, false) => format!("from {low} to {high}"),
            (true, false) => format!("above {low}, at most {high}"),
            (false, true) => format!("at least {low}, below {high}"),
            (true, true) => format!("above {low}, below {high}"),
        }
    }
}

/// One key of a section, for the reference and for "did you mean".
pub struct Key {
    /// As a config writes it.
    pub name: &'static str,
    /// Its doc comment; each line still begins with a space.
    pub doc: &'static str,
    /// What it takes, in words.
    pub takes: String,
    /// The only texts that it takes; empty where it takes something else.
    pub choices: &'static [Choice],
    /// What it is where a config does not write it.
    pub default: Unwritten,
    /// Its name in older configs, which still works.
    pub old_name: Option<&'static str>,
}

impl Key {
    /// Whether a config may write it by this name.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.old_name == Some(name)
    }
}

/// What becomes of a key that a config does not write.
#[derive(Debug, Clone, PartialEq)]
pub enum Unwritten {
    /// The config is refused: the key must be given.
    Refused,
    /// The key is not set, which is no value that a config could write.
    Unset,
    /// The key has this value.
    Value(toml::Value),
}

/// A name that a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Choice {
    /// Keras's name, which is also what we write.
    pub name: &'static str,
    /// Other spellings of the same.
    pub aliases: &'static [&'static str],
}

/// A type that one key of a config can hold.
pub trait Field: Sized {
    /// What it takes, in words: "a whole number".
    fn takes() -> String;

    /// The only texts that it takes, where there is a fixed list of them.
    #[must_use]
    fn choices() -> &'static [Choice] {
        &[]
    }

    /// Reads the value, refusing another type.
    ///
    /// # Errors
    /// When the value is not what [`Field::takes`] says.
    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError>;

    /// As TOML; `None` is left out of the file.
    fn write(&self) -> Option<toml::Value>;
}

/// A table of a config with a fixed set of keys.
pub trait Section: Sized {
    /// Its doc comment.
    const DOC: &'static str;

    /// Its own keys in the order of the declaration, then those of the flattened sections: the order
    /// of the reference.
    fn keys() -> Vec<Key>;

    /// Reads every key of the section; one that is not written takes its default. Other keys of the
    /// table are left to the section that this one is flattened into.
    ///
    /// # Errors
    /// For a missing key, or a value that a key does not take.
    fn read_fields(node: &Node) -> Result<Self, ConfigError>;

    /// Reads a table that holds this section's keys only.
    ///
    /// # Errors
    /// For an unknown key, a missing one, or a value that a key does not take.
    fn read_table(node: &Node) -> Result<Self, ConfigError> {
        let keys = Self::keys();
        check_keys(node, &keys)?;
        let node = with_new_names(node, &keys)?;
        Self::read_fields(&node)
    }

    /// Every key in the order of [`Section::keys`], without those that are not set.
    fn write_table(&self) -> toml::Table;

    /// The value of a key by its name, for those who know its type.
    fn value_of(&self, key: &str) -> Option<&dyn Any>;

    /// The section as it is when nothing is written.
    ///
    /// # Panics
    /// When a key has no default, which is a mistake in the declaration.
    #[must_use]
    fn defaults() -> Self {
        Self::read_table(&Node::empty()).expect("every key of this section has a default")
    }
}

/// The refusal of a value: where, what was received, what is taken.
pub fn refuse(node: &Node, takes: &str) -> ConfigError {
    ConfigError::at(node, format!("is {}", node.value), format!("give {takes}"))
}

/// The entries of a table.
///
/// # Errors
/// When the node is no table.
pub fn table(node: &Node) -> Result<&std::collections::BTreeMap<String, Node>, ConfigError> {
    match &node.value {
        Value::Table(table) => Ok(table),
        _ => Err(refuse(node, "a table of keys and values")),
    }
}

/// Refuses a key that the section does not have, naming the nearest one.
///
/// # Errors
/// For the first unknown key.
pub fn check_keys(node: &Node, known: &[Key]) -> Result<(), ConfigError> {
    for (key, child) in table(node)? {
        if !known.iter().any(|known| known.is_called(key)) {
            let known: Vec<&str> = known.iter().map(|key| key.name).collect();
            let path = join(&node.path, key);
            return Err(ConfigError {
                place: child.origin.to_string(),
                problem: format!("`{path}` is not a key (received {})", child.value),
                remedy: if known.is_empty() {
                    "this takes no keys, so remove it".to_owned()
                } else {
                    suggest(key, &known)
                },
            });
        }
    }
    Ok(())
}

/// The table with keys of older configs under the names that they have now.
fn with_new_names<'a>(node: &'a Node, keys: &[Key]) -> Result<Cow<'a, Node>, ConfigError> {
    let mut node = Cow::Borrowed(node);
    for key in keys {
        let Some(old) = key.old_name else { continue };
        let written = table(&node)?;
        let Some(child) = written.get(old).cloned() else { continue };
        if written.contains_key(key.name) {
            let problem = format!("is the old name of `{}`, which stands here too", key.name);
            return Err(ConfigError::at(&child, problem, "remove one of them"));
        }
        if let Value::Table(entries) = &mut node.to_mut().value {
            entries.remove(old);
            entries.insert(key.name.to_owned(), child);
        }
    }
    Ok(node)
}

/// "did you mean `epochs`?" for a near miss, else all that is known; of many, those that are most alike.
pub fn suggest(received: &str, known: &[&str]) -> String {
    /// Jaro-Winkler similarity from which two names pass for a slip of the pen.
    const NEAR: f64 = 0.8;
    /// Names that one sentence lists.
    const MOST: usize = 20;
    let likeness =
        |name: &str| strsim::jaro_winkler(&received.to_lowercase(), &name.to_lowercase());
    let mut by_likeness = known.to_vec();
    by_likeness.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    match by_likeness[..] {
        [name, ..] if likeness(name) > NEAR => format!("did you mean `{name}`?"),
        _ if known.len() > MOST => {
            let others = known.len() - MOST;
            format!("known here: {} and {others} others", by_likeness[..MOST].join(", "))
        }
        _ => format!("known here: {}", known.join(", ")),
    }
}

/// The value of a key, or its default, or the complaint that it is missing.
///
/// # Errors
/// When the key is missing without a default, or its value is refused.
pub fn read_key<T: Field>(
    node: &Node,
    key: &str,
    bounds: Option<Bounds>,
    default: Option<T>,
) -> Result<T, ConfigError> {
    match (table(node)?.get(key), default) {
        (Some(child), default) => {
            let default = default.as_ref().and_then(Field::write);
            let child = child.completed(default.as_ref())?;
            T::read(&child, bounds)
        }
        (None, Some(default)) => Ok(default),
        (None, None) => Err(ConfigError {
            place: node.origin.to_string(),
            problem: format!("`{}` is missing", join(&node.path, key)),
            remedy: format!("give {}", taking::<T>(bounds)),
        }),
    }
}

/// What a key takes, its bounds included.
#[must_use]
pub fn taking<T: Field>(bounds: Option<Bounds>) -> String {
    match bounds {
        Some(bounds) => format!("{} {}", T::takes(), bounds.describe()),
        None => T::takes(),
    }
}

/// Whether a config writes this key of a table.
pub fn is_written(node: &Node, key: &str) -> bool {
    matches!(&node.value, Value::Table(entries) if entries.contains_key(key))
}

/// Gives one of a flattened section's `keys` the default that it has in the section around it; `field`
/// only tells the value's type.
pub fn change_default<S, T: Field>(keys: &mut [Key], name: &str, _field: fn(&S) -> &T, value: &T) {
    for key in keys.iter_mut().filter(|key| key.name == name) {
        key.default = unwritten(value);
    }
}

/// A default, as the reference shows it.
pub fn unwritten<T: Field>(default: &T) -> Unwritten {
    default.write().map_or(Unwritten::Unset, Unwritten::Value)
}

/// Declares a section: `name: type = default, in bounds, was "old name";` with a doc comment on each key.
///
/// After its own keys, `flatten field: Other;` adds the keys of another section: a field of that type in
/// the struct, but the same table in a config. `flatten field: Other { key = default };` gives some of
/// them another default than they have in `Other`.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        pub struct $Section:ident {
            $(
                $(#[doc = $key_doc:literal])+
                $key:ident : $Type:ty $(= $default:expr)? $(, in $bounds:expr)? $(, was $old:literal)? ;
            )*
            $(
                flatten $field:ident : $Other:ident
                $({ $($changed:ident = $value:expr),+ $(,)? })? ;
            )*
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Section {
            $( $(#[doc = $key_doc])+ pub $key: $Type, )*
            $(
                #[doc = concat!("The keys of [`", stringify!($Other), "`], in the same table.")]
                pub $field: $Other,
            )*
        }

        impl $crate::config::schema::Section for $Section {
            const DOC: &'static str = concat!($($doc,)+);

            fn keys() -> Vec<$crate::config::schema::Key> {
                #[allow(unused_imports)]
                use $crate::config::schema::{Field, Key, Section, change_default, taking};
                #[allow(unused_mut)]
                let mut keys = vec![$( Key {
                    name: stringify!($key),
                    doc: concat!($($key_doc,)+),
                    takes: taking::<$Type>(section!(@optional $($bounds)?)),
                    choices: <$Type as Field>::choices(),
                    default: section!(@default $Type $(, $default)?),
                    old_name: section!(@optional $($old)?),
                }, )*];
                $(
                    #[allow(unused_mut)]
                    let mut flattened = $Other::keys();
                    $($(
                        change_default::<$Other, _>(
                            &mut flattened,
                            stringify!($changed),
                            |section| &section.$changed,
                            &$value,
                        );
                    )+)?
                    keys.extend(flattened);
                )*
                keys
            }

            #[allow(unused_variables)]
            fn read_fields(
                node: &$crate::config::node::Node,
            ) -> Result<Self, $crate::config::ConfigError> {
                #[allow(unused_imports)]
                use $crate::config::schema::{Section, is_written, read_key};
                #[allow(unused_mut)]
                let mut section = Self {
                    $($key: read_key::<$Type>(
                        node,
                        stringify!($key),
                        section!(@optional $($bounds)?),
                        section!(@optional $($default)?),
                    )?,)*
                    $($field: $Other::read_fields(node)?,)*
                };
                $($($(
                    if !is_written(node, stringify!($changed)) {
                        section.$field.$changed = $value;
                    }
                )+)?)*
                Ok(section)
            }

            fn write_table(&self) -> toml::Table {
                #[allow(unused_imports)]
                use $crate::config::schema::{Field, Section};
                #[allow(unused_mut)]
                let mut table = toml::Table::new();
                $(
                    if let Some(value) = self.$key.write() {
                        table.insert(stringify!($key).to_owned(), value);
                    }
                )*
                $(table.extend(self.$field.write_table());)*
                table
            }

            #[allow(unused_variables)]
            fn value_of(&self, key: &str) -> Option<&dyn std::any::Any> {
                $(if key == stringify!($key) {
                    return Some(&self.$key);
                })*
                None$(.or_else(|| self.$field.value_of(key)))*
            }
        }

        impl $crate::config::schema::Field for $Section {
            fn takes() -> String {
                "a table".to_owned()
            }

            fn read(
                node: &$crate::config::node::Node,
                _: Option<$crate::config::schema::Bounds>,
            ) -> Result<Self, $crate::config::ConfigError> {
                <Self as $crate::config::schema::Section>::read_table(node)
            }

            fn write(&self) -> Option<toml::Value> {
                Some(toml::Value::Table(
                    <Self as $crate::config::schema::Section>::write_table(self),
                ))
            }
        }
    };
    (@optional) => { None };
    (@optional $value:expr) => { Some($value) };
    (@default $Type:ty) => { $crate::config::schema::Unwritten::Refused };
    (@default $Type:ty, $default:expr) => {{
        let default: $Type = $default;
        $crate::config::schema::unwritten(&default)
    }};
}
pub(crate) use section;

/// Gives an enum of named options its reader: `Variant = "name"`, with further spellings after `|`.
macro_rules! choice {
    (
        $Choice:ty { $($variant:ident = $name:literal $(| $alias:literal)*),+ $(,)? }
        $(unwritten { $unwritten:ident = $its_name:literal })?
    ) => {
        impl $Choice {
            /// Its name in a config, which is Keras's.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    $(Self::$unwritten => $its_name,)?
                }
            }
        }

        impl $crate::config::schema::Field for $Choice {
            fn takes() -> String {
                let names = [$(concat!("\"", $name, "\"")),+];
                format!("one of {}", names.join(", "))
            }

            fn choices() -> &'static [$crate::config::schema::Choice] {
                use $crate::config::schema::Choice;
                const { &[$(Choice { name: $name, aliases: &[$($alias),*] }),+] }
            }

            fn read(
                node: &$crate::config::node::Node,
                _: Option<$crate::config::schema::Bounds>,
            ) -> Result<Self, $crate::config::ConfigError> {
                use $crate::config::{ConfigError, node::Value, schema};
                match &node.value {
                    Value::String(name) => match name.as_str() {
                        $($name $(| $alias)* => Ok(Self::$variant),)+
                        other => Err(ConfigError::at(
                            node,
                            format!("is {other:?}"),
                            schema::suggest(other, &[$($name),+]),
                        )),
                    },
                    _ => Err(schema::refuse(node, &Self::takes())),
                }
            }

            fn write(&self) -> Option<toml::Value> {
                Some(toml::Value::String(self.name().to_owned()))
            }
        }
    };
}
pub(crate) use choice;

/// Declares a closed set of sections told apart by one key, which may be left out where a default
/// follows `or`: the enum, its reader, writer and reference. After `|` stand texts that mean a member with
/// all of its defaults, in place of a table.
macro_rules! family {
    (
        $(#[doc = $doc:literal])+
        pub enum $Family:ident by $kind:literal $(or $default:literal)?, like $example:literal {
            $($(#[doc = $member_doc:literal])+ $Member:ident($Section:ident) = $name:literal
                $(| $text:literal)*),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, PartialEq)]
        pub enum $Family {
            $($(#[doc = $member_doc])+ $Member($Section),)+
        }

        impl $Family {
            /// The names of all members, which are Keras's.
            pub const NAMES: &[&str] = &[$($name),+];
            /// The key that tells them apart.
            pub const KIND: &str = $kind;
            /// The member that is meant where that key is not written, if one is.
            pub const DEFAULT: Option<&str> = family!(@default $($default)?);
            /// Texts that mean a member with all of its defaults, each with the member's name.
            pub const TEXTS: &[(&str, &str)] = &[$($(($text, $name),)*)+];

            /// Its name in Keras.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$Member(_) => $name,)+ }
            }

            /// Name, description and keys of every member.
            #[must_use]
            pub fn reference() -> Vec<(&'static str, &'static str, Vec<$crate::config::schema::Key>)> {
                use $crate::config::schema::Section;
                vec![$(($name, concat!($($member_doc,)+), $Section::keys()),)+]
            }

            /// The value of a key by its name, for those who know its type.
            #[must_use]
            pub fn value_of(&self, key: &str) -> Option<&dyn std::any::Any> {
                use $crate::config::schema::Section;
                match self { $(Self::$Member(section) => section.value_of(key),)+ }
            }
        }

        impl $crate::config::schema::Field for $Family {
            fn takes() -> String {
                $crate::config::schema::taking_texts(Self::TEXTS, concat!("a table like ", $example))
            }

            fn read(
                node: &$crate::config::node::Node,
                _: Option<$crate::config::schema::Bounds>,
            ) -> Result<Self, $crate::config::ConfigError> {
                use $crate::config::schema::{Section, keep_keys, spelled_out, take_kind, unknown_kind};
                let node = &*spelled_out(node, $kind, Self::TEXTS)?;
                let (kind, rest) = take_kind(node, $kind, Self::DEFAULT, &Self::takes())?;
                let spelled = Self::TEXTS.iter().find(|(text, _)| *text == kind.1);
                match spelled.map_or(kind.1.as_str(), |(_, name)| name) {
                    $($name => {
                        let keys = $Section::keys();
                        $Section::read_table(&keep_keys(rest, &kind.0, &keys)).map(Self::$Member)
                    })+
                    _ => Err(unknown_kind(&kind.0, Self::NAMES)),
                }
            }

            fn write(&self) -> Option<toml::Value> {
                use $crate::config::schema::{Section, is_default, with_kind};
                let (keys, known) = match self {
                    $(Self::$Member(section) => (section.write_table(), $Section::keys()),)+
                };
                let text = Self::TEXTS.iter().find(|(_, name)| *name == self.name());
                match text {
                    Some((text, _)) if is_default(&keys, &known) => Some((*text).into()),
                    _ => Some(with_kind($kind, self.name(), keys)),
                }
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
}
pub(crate) use family;

/// What a family takes: one of its texts, where it has any, or a table.
pub fn taking_texts(texts: &[(&str, &str)], table: &str) -> String {
    let texts: Vec<String> = texts.iter().map(|(text, _)| format!("{text:?}, ")).collect();
    if texts.is_empty() { table.to_owned() } else { format!("{}or {table}", texts.concat()) }
}

/// The table that a text means, where a family takes texts.
///
/// # Errors
/// For a text that it does not take.
pub fn spelled_out<'a>(
    node: &'a Node,
    key: &str,
    texts: &[(&str, &str)],
) -> Result<Cow<'a, Node>, ConfigError> {
    let Value::String(text) = &node.value else { return Ok(Cow::Borrowed(node)) };
    if texts.is_empty() {
        return Ok(Cow::Borrowed(node));
    }
    let Some((_, name)) = texts.iter().find(|(known, _)| known == text) else {
        let known: Vec<&str> = texts.iter().map(|(known, _)| *known).collect();
        return Err(ConfigError::at(node, format!("is {text:?}"), suggest(text, &known)));
    };
    let path = join(&node.path, key);
    let kind = Node { path, value: Value::String((*name).to_owned()), ..node.clone() };
    let value = Value::Table([(key.to_owned(), kind)].into());
    Ok(Cow::Owned(Node { value, ..node.clone() }))
}

/// Whether a table has each key as it is where nothing is written.
pub fn is_default(table: &toml::Table, keys: &[Key]) -> bool {
    keys.iter().all(|key| match (&key.default, table.get(key.name)) {
        (Unwritten::Value(default), Some(value)) => default == value,
        (Unwritten::Unset, None) => true,
        _ => false,
    })
}

/// Splits a table into the key that names its kind, with that name, and the other keys.
///
/// # Errors
/// When the node is no table, or has no such key and there is no default, or its value is no text.
pub fn take_kind(
    node: &Node,
    key: &str,
    default: Option<&str>,
    takes: &str,
) -> Result<((Node, String), Node), ConfigError> {
    let mut rest = node.clone();
    let Value::Table(entries) = &mut rest.value else { return Err(refuse(node, takes)) };
    let unwritten = |name: &str| Node {
        // As written in the file, whatever the command line did to the table's other keys.
        origin: Origin::Line("defaults".to_owned(), 1),
        path: join(&node.path, key),
        value: Value::String(name.to_owned()),
    };
    let missing = || {
        let remedy = match node.origin {
            Origin::Set(_) => format!("set {} too, for {takes}", join(&node.path, key)),
            Origin::Line(..) => format!("give {takes}"),
        };
        ConfigError::at(node, format!("has no `{key}`"), remedy)
    };
    let kind = entries.remove(key).or_else(|| default.map(unwritten)).ok_or_else(missing)?;
    let name = String::read(&kind, None)?;
    Ok(((kind, name), rest))
}

/// A kind that comes from the command line replaces the file's, whose own keys would be mistakes
/// now: they go, and keys that both kinds have stay, except for paths, which lead to files of the
/// other kind.
pub fn keep_keys(mut rest: Node, kind: &Node, keys: &[Key]) -> Node {
    let stays = |key: &Key| key.takes != PathBuf::takes();
    if let (Origin::Set(_), Value::Table(entries)) = (&kind.origin, &mut rest.value) {
        entries.retain(|name, child| {
            matches!(child.origin, Origin::Set(_))
                || keys.iter().any(|key| key.is_called(name) && stays(key))
        });
    }
    rest
}

/// The other way round: the kind first, for the reader's eye.
pub fn with_kind(key: &str, kind: &str, keys: toml::Table) -> toml::Value {
    let kind = (key.to_owned(), toml::Value::String(kind.to_owned()));
    toml::Value::Table(std::iter::once(kind).chain(keys).collect())
}

/// The refusal of a kind that the family does not have.
pub fn unknown_kind(kind: &Node, known: &[&str]) -> ConfigError {
    let Value::String(name) = &kind.value else { return refuse(kind, "a text in quotes") };
    ConfigError::at(kind, format!("is {name:?}, which we do not have"), suggest(name, known))
}

/// The largest whole number that both TOML and `f64` bounds hold exactly.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;

impl Field for usize {
    fn takes() -> String {
        "a whole number".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let bounds = bounds.unwrap_or(Bounds::closed(0.0, LARGEST_WHOLE));
        match node.value {
            Value::Integer(number) if bounds.hold(number as f64) => {
                usize::try_from(number).map_err(|_| refuse(node, &taking::<usize>(Some(bounds))))
            }
            _ => Err(refuse(node, &taking::<usize>(Some(bounds)))),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Integer(*self as i64))
    }
}

impl Field for i64 {
    fn takes() -> String {
        "a whole number".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        match node.value {
            Value::Integer(number) if bounds.is_none_or(|bounds| bounds.hold(number as f64)) => {
                Ok(number)
            }
            _ => Err(refuse(node, &taking::<Self>(bounds))),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Integer(*self))
    }
}

impl Field for f64 {
    fn takes() -> String {
        "a number".to_owned()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        let number = match node.value {
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            _ => return Err(refuse(node, &taking::<f64>(bounds))),
        };
        let allowed = number.is_finite() && bounds.is_none_or(|bounds| bounds.hold(number));
        if allowed { Ok(number) } else { Err(refuse(node, &taking::<f64>(bounds))) }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Float(*self))
    }
}

impl Field for bool {
    fn takes() -> String {
        "true or false".to_owned()
    }

    fn read(node: &Node, _: Option<Bounds>) -> Result<Self, ConfigError> {
        match node.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(refuse(node, &Self::takes())),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Boolean(*self))
    }
}

impl Field for String {
    fn takes() -> String {
        "a text in quotes".to_owned()
    }

    fn read(node: &Node, _: Option<Bounds>) -> Result<Self, ConfigError> {
        match &node.value {
            Value::String(text) => Ok(text.clone()),
            // A shell takes plain quotes away.
            value if matches!(node.origin, Origin::Set(_)) => {
                let remedy =
                    format!("give {}, like --set '{}=\"{value}\"'", Self::takes(), node.path);
                Err(ConfigError::at(node, format!("is {value}"), remedy))
            }
            _ => Err(refuse(node, &Self::takes())),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.clone()))
    }
}

impl Field for PathBuf {
    fn takes() -> String {
        "a path in quotes".to_owned()
    }

    fn read(node: &Node, _: Option<Bounds>) -> Result<Self, ConfigError> {
        match &node.value {
            Value::String(text) if !text.is_empty() => Ok(PathBuf::from(text)),
            _ => Err(refuse(node, &Self::takes())),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string_lossy().into_owned()))
    }
}

/// A key that may be left out.
impl<T: Field> Field for Option<T> {
    fn takes() -> String {
        T::takes()
    }

    fn choices() -> &'static [Choice] {
        T::choices()
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        T::read(node, bounds).map(Some)
    }

    fn write(&self) -> Option<toml::Value> {
        self.as_ref().and_then(Field::write)
    }
}

impl<T: Field> Field for Vec<T> {
    fn takes() -> String {
        format!("a list, each entry {}", T::takes())
    }

    fn read(node: &Node, bounds: Option<Bounds>) -> Result<Self, ConfigError> {
        match &node.value {
            Value::Array(items) => items.iter().map(|item| T::read(item, bounds)).collect(),
            _ => Err(refuse(node, &taking::<Self>(bounds))),
        }
    }

    fn write(&self) -> Option<toml::Value> {
        Some(toml::Value::Array(self.iter().filter_map(Field::write).collect()))
    }
}

#[cfg(test)]
mod tests;
