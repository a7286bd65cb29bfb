//! The plan contract in words: what `wit/plan.wit` says, item by item, as Markdown. Made from the file itself, so that it cannot
//! say anything else.

use std::fmt::Write as _;

use wit_parser::{Function, InterfaceId, PackageId, Resolve, Type, TypeDef, TypeDefKind, TypeOwner};

/// The contract as it is written.
pub const WIT: &str = include_str!("../../../wit/plan.wit");

/// One item of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name: `evaluate`, `charge`.
    pub name: String,
    /// Its kind: `function`, `record`, `variant` ...
    pub kind: &'static str,
    /// What is said of it, as Markdown.
    pub text: String,
}

/// The contract, item by item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Its package, with its version.
    pub package: String,
    /// What is said of all of it.
    pub about: String,
    /// Functions first, then what they take and give, in the order of the file.
    pub items: Vec<Item>,
}

/// Reads the contract.
///
/// # Errors
///
/// None with the file that this crate was built with; a test reads it.
pub fn contract() -> anyhow::Result<Contract> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("plan.wit", WIT)?;
    let pages = Pages { resolve: &resolve };
    Ok(pages.contract(package))
}

impl Contract {
    /// All of it as one page.
    pub fn page(&self) -> String {
        let mut page = format!("# {}\n\n{}\n", self.package, self.about);
        for item in &self.items {
            // Writing to a String cannot fail.
            let _ = write!(page, "\n## {} ({})\n\n{}\n", item.name, item.kind, item.text);
        }
        page
    }
}

struct Pages<'r> {
    resolve: &'r Resolve,
}

impl Pages<'_> {
    fn contract(&self, package: PackageId) -> Contract {
        let package = &self.resolve.packages[package];
        let mut items = Vec::new();
        for interface in package.interfaces.values() {
            items.extend(self.items(*interface));
        }
        let said = [package.docs.contents.as_deref()].into_iter().flatten();
        let interfaces = package.interfaces.values();
        let of_interfaces = interfaces.filter_map(|id| self.resolve.interfaces[*id].docs.contents.as_deref());
        let about: Vec<&str> = said.chain(of_interfaces).map(str::trim).collect();
        Contract {
            package: package.name.to_string(),
            about: about.join("\n\n"),
            items,
        }
    }

    fn items(&self, interface: InterfaceId) -> Vec<Item> {
        let interface = &self.resolve.interfaces[interface];
        let functions = interface
            .functions
            .values()
            .map(|function| self.function(function));
        let types = interface.types.iter();
        let types = types.map(|(name, id)| self.described(name, &self.resolve.types[*id]));
        functions.chain(types).collect()
    }

    fn function(&self, function: &Function) -> Item {
        let parameters = function.params.iter();
        let parameters: Vec<String> = parameters
            .map(|parameter| format!("{}: {}", parameter.name, self.shape(&parameter.ty)))
            .collect();
        let result = function.result.as_ref();
        let result = result.map_or(String::new(), |result| format!(" -> {}", self.shape(result)));
        let said = function.docs.contents.as_deref().unwrap_or_default().trim();
        Item {
            name: function.name.clone(),
            kind: "function",
            text: format!("`{}({}){result}`\n\n{said}", function.name, parameters.join(", ")),
        }
    }

    fn described(&self, name: &str, described: &TypeDef) -> Item {
        let said = described.docs.contents.as_deref().unwrap_or_default().trim();
        let rows = match &described.kind {
            TypeDefKind::Record(record) => self.rows(
                "field",
                record.fields.iter().map(|field| {
                    let shape = Some(self.shape(&field.ty));
                    (&*field.name, shape, field.docs.contents.as_deref())
                }),
            ),
            TypeDefKind::Variant(variant) => self.rows(
                "case",
                variant.cases.iter().map(|case| {
                    let shape = case.ty.as_ref().map(|ty| self.shape(ty));
                    (&*case.name, shape, case.docs.contents.as_deref())
                }),
            ),
            TypeDefKind::Enum(cases) => self.rows(
                "case",
                cases
                    .cases
                    .iter()
                    .map(|case| (&*case.name, None, case.docs.contents.as_deref())),
            ),
            TypeDefKind::Type(ty) => format!("`{name} = {}`", self.shape(ty)),
            other => format!("`{name} = {}`", other.as_str()),
        };
        let parts = [said.to_string(), rows];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Item {
            name: name.to_string(),
            kind: match &described.kind {
                TypeDefKind::Type(_) => "type",
                other => other.as_str(),
            },
            text: parts.join("\n\n"),
        }
    }

    fn rows<'d>(
        &self,
        head: &str,
        rows: impl Iterator<Item = (&'d str, Option<String>, Option<&'d str>)>,
    ) -> String {
        let mut text = format!("| {head} | shape | |\n|---|---|---|");
        for (name, shape, said) in rows {
            let shape = shape.map_or(String::new(), |shape| format!("`{shape}`"));
            let said = said
                .unwrap_or_default()
                .trim()
                .replace('\n', " ")
                .replace('|', "\\|");
            let _ = write!(text, "\n| `{name}` | {shape} | {said} |"); // writing to a String cannot fail
        }
        text
    }

    /// A type as it is written.
    fn shape(&self, ty: &Type) -> String {
        let Type::Id(id) = ty else {
            return match ty {
                Type::Bool => "bool",
                Type::U8 => "u8",
                Type::U16 => "u16",
                Type::U32 => "u32",
                Type::U64 => "u64",
                Type::S8 => "s8",
                Type::S16 => "s16",
                Type::S32 => "s32",
                Type::S64 => "s64",
                Type::F32 => "f32",
                Type::F64 => "f64",
                Type::Char => "char",
                Type::String => "string",
                Type::ErrorContext => "error-context",
                Type::Id(_) => unreachable!("handled above"),
            }
            .to_string();
        };
        let described = &self.resolve.types[*id];
        if let (Some(name), TypeOwner::Interface(_)) = (&described.name, described.owner) {
            return name.clone();
        }
        let optional = |ty: &Option<Type>| ty.as_ref().map_or("_".to_string(), |ty| self.shape(ty));
        match &described.kind {
            TypeDefKind::List(ty) => format!("list<{}>", self.shape(ty)),
            TypeDefKind::Option(ty) => format!("option<{}>", self.shape(ty)),
            TypeDefKind::Result(result) => match &result.err {
                None => format!("result<{}>", optional(&result.ok)),
                Some(_) => format!("result<{}, {}>", optional(&result.ok), optional(&result.err)),
            },
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<String> = tuple.types.iter().map(|ty| self.shape(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            other => other.as_str().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str) -> Item {
        let items = contract().unwrap().items;
        items.into_iter().find(|item| item.name == name).unwrap()
    }

    #[test]
    fn functions_say_what_they_take_and_give() {
        let names: Vec<String> = contract()
            .unwrap()
            .items
            .into_iter()
            .filter(|item| item.kind == "function")
            .map(|item| item.name)
            .collect();
        assert_eq!(
            names,
            [
                "describe",
                "prepare",
                "evaluate",
                "transition",
                "explain",
                "migrate"
            ]
        );
        let prepare = item("prepare").text;
        let shape = "`prepare(parameters: string) -> result<list<u8>, list<parameter-error>>`";
        assert!(prepare.starts_with(shape), "{prepare}");
        assert!(prepare.contains("Once per revision."), "{prepare}");
        let migrate = item("migrate").text;
        assert!(
            migrate.starts_with("`migrate(from: u32, state: list<u8>)"),
            "{migrate}"
        );
    }

    #[test]
    fn fields_and_cases_stand_with_what_is_said_of_them() {
        let charge = item("charge");
        assert_eq!(charge.kind, "record");
        assert!(
            charge
                .text
                .contains("| `code` | `u32` | Index into the described charges. |"),
            "{}",
            charge.text
        );
        let rejection = item("rejection");
        assert_eq!(rejection.kind, "variant");
        let overflow = "| `overflow` |  | The amounts leave the range of `nanos`. |";
        assert!(rejection.text.contains(overflow), "{}", rejection.text);
        let applies = item("applies-to").text;
        assert!(applies.contains("`list<tuple<string, string>>`"), "{applies}");
        assert_eq!(item("nanos").text.lines().last(), Some("`nanos = s64`"));
    }

    #[test]
    fn nothing_of_the_contract_is_without_a_word() {
        let contract = contract().unwrap();
        assert_eq!(contract.package, "farebox:plan@0.1.0");
        assert!(
            contract
                .about
                .starts_with("A Farebox plan: pricing as a pure function.")
        );
        for item in &contract.items {
            assert!(item.text.len() > 20, "{item:?}");
        }
        assert!(contract.page().contains("\n## outcomes (record)\n"));
    }
}
