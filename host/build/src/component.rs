//! From the compiler's module to a component, and whether that component is a plan.

use wit_component::ComponentEncoder;
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{IndexMap, WorldItem, WorldKey};

use crate::BuildError;

/// The interface that makes a component a plan.
const INTERFACE: &str = "farebox:plan/pricing@";

const NO_EXPORT: &str = "it exports no farebox:plan/pricing; in Rust `farebox_plan::export!(YourPlan);` does that, in TypeScript \
                         `export const pricing = definePlan({ ... })`";

/// Wraps the module in the interface that the SDK left in it, and checks that it is a plan without imports.
pub(super) fn encode(name: &str, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    let not_a_component = |reason: String| BuildError::NotAComponent {
        name: name.to_string(),
        reason,
    };
    let chain = |error: anyhow::Error| format!("{error:#}");
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| not_a_component(chain(error)))?;
    check(name, &component)?;
    Ok(component)
}

/// Checks that a component is a plan without imports.
pub(super) fn check(name: &str, component: &[u8]) -> Result<(), BuildError> {
    let not_a_component = |reason: String| BuildError::NotAComponent {
        name: name.to_string(),
        reason,
    };
    let chain = |error: anyhow::Error| format!("{error:#}");
    let (resolve, world) = match decode(component).map_err(|error| not_a_component(chain(error)))? {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => return Err(not_a_component("it holds types only".to_string())),
    };
    let world = &resolve.worlds[world];
    let names = |side: &IndexMap<WorldKey, WorldItem>| -> Vec<String> {
        side.keys().map(|key| resolve.name_world_key(key)).collect()
    };
    let imports = names(&world.imports);
    if !imports.is_empty() {
        return Err(BuildError::Imports {
            name: name.to_string(),
            imports,
        });
    }
    if !names(&world.exports)
        .iter()
        .any(|export| export.starts_with(INTERFACE))
    {
        return Err(not_a_component(NO_EXPORT.to_string()));
    }
    Ok(())
}
