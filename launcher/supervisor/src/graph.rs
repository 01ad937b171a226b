//! The dependency graph: the start order, and its reverse for stopping. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::logs::names::is_component;
use super::spec::ComponentSpec;

/// The maximum length of a component's name, which becomes part of file names.
const MAX_NAME: usize = 40;

/// An inconsistent plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A name that cannot name a file.
    #[error(
        "'{0}' cannot be the name of a component; use small letters, digits and '-', with '.' and a number at the end for a replica, at most {MAX_NAME} characters"
    )]
    Name(String),
    /// Two components have the same name.
    #[error("'{0}' is there twice")]
    Twice(String),
    /// A component needs something that does not exist.
    #[error("{component} needs '{need}', which is not in the plan")]
    UnknownNeed {
        /// The component.
        component: String,
        /// What it needs.
        need: String,
    },
    /// Components that need each other in a cycle.
    #[error("these need each other, so none can be the first to start: {}", .0.join(", "))]
    Cycle(Vec<String>),
}

/// The dependencies of a plan's components, known to be complete and without cycles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Graph {
    order: Vec<String>,
    dependents: BTreeMap<String, Vec<String>>,
}

impl Graph {
    /// Validates and orders the components; `externals` are the names of external dependencies.
    pub(crate) fn new(components: &[ComponentSpec], externals: &[String]) -> Result<Self, PlanError> {
        check_names(components, externals)?;
        check_needs(components, externals)?;
        let mut dependents: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for component in components {
            for need in &component.needs {
                dependents.entry(need.clone()).or_default().push(component.name.clone());
            }
        }
        Ok(Self { order: order(components, externals)?, dependents })
    }

    /// The components, each after all that it needs, otherwise in the plan's order.
    pub(crate) fn start_order(&self) -> &[String] {
        &self.order
    }

    /// The components that need this one directly.
    pub(crate) fn dependents(&self, name: &str) -> &[String] {
        self.dependents.get(name).map_or(&[], Vec::as_slice)
    }
}

fn check_names(components: &[ComponentSpec], externals: &[String]) -> Result<(), PlanError> {
    let mut seen = BTreeSet::new();
    for name in components.iter().map(|component| &component.name).chain(externals) {
        if name.len() > MAX_NAME || !is_component(name) {
            return Err(PlanError::Name(name.clone()));
        }
        if !seen.insert(name) {
            return Err(PlanError::Twice(name.clone()));
        }
    }
    Ok(())
}

fn check_needs(components: &[ComponentSpec], externals: &[String]) -> Result<(), PlanError> {
    let known: BTreeSet<&String> = components.iter().map(|c| &c.name).chain(externals).collect();
    for component in components {
        if let Some(need) = component.needs.iter().find(|need| !known.contains(need)) {
            return Err(PlanError::UnknownNeed { component: component.name.clone(), need: need.clone() });
        }
    }
    Ok(())
}

/// Repeatedly takes the first component whose needs have all been taken (Kahn 1962, with the plan's order for ties).
fn order(components: &[ComponentSpec], externals: &[String]) -> Result<Vec<String>, PlanError> {
    let mut taken: BTreeSet<&String> = externals.iter().collect();
    let mut left: Vec<&ComponentSpec> = components.iter().collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let next = left.iter().position(|component| component.needs.iter().all(|need| taken.contains(need)));
        let Some(next) = next else {
            return Err(PlanError::Cycle(left.iter().map(|component| component.name.clone()).collect()));
        };
        let component = left.remove(next);
        taken.insert(&component.name);
        order.push(component.name.clone());
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::machine::testing::{cases, component};

    /// Components that need some of those before them, in another order.
    fn plans() -> impl Strategy<Value = Vec<ComponentSpec>> {
        let needs = proptest::collection::vec(any::<u32>(), 1..30);
        needs.prop_flat_map(|needs| {
            let plan = needs.iter().enumerate().map(|(number, needed)| {
                let needed = (0..number).filter(|other| needed >> (other % 32) & 3 == 3);
                let needed: Vec<String> = needed.map(|other| format!("c{other}")).collect();
                let needed: Vec<&str> = needed.iter().map(String::as_str).collect();
                component(&format!("c{number}"), &needed)
            });
            Just(plan.collect::<Vec<_>>()).prop_shuffle()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: cases(300, 10_000), ..ProptestConfig::default() })]

        #[test]
        fn each_comes_once_and_after_all_that_it_needs(plan in plans()) {
            let graph = Graph::new(&plan, &[]).unwrap();
            let place = |name: &str| graph.start_order().iter().position(|other| other == name).unwrap();
            prop_assert_eq!(graph.start_order().len(), plan.len());
            for spec in &plan {
                for need in &spec.needs {
                    prop_assert!(place(need) < place(&spec.name));
                    prop_assert!(graph.dependents(need).contains(&spec.name));
                }
            }
        }

        #[test]
        fn a_circle_is_found_wherever_it_is_and_names_those_in_it(mut plan in plans(), from in any::<usize>(), to in any::<usize>()) {
            let (from, to) = (from % plan.len(), to % plan.len());
            let (one, other) = (plan[from].name.clone(), plan[to].name.clone());
            plan[from].needs.push(other.clone());
            plan[to].needs.push(one.clone());
            match Graph::new(&plan, &[]) {
                Err(PlanError::Cycle(names)) => prop_assert!(names.contains(&one) && names.contains(&other)),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn each_comes_after_what_it_needs_and_otherwise_in_the_order_of_the_plan() {
        let plan = [
            component("web", &["chat"]),
            component("chat", &["api"]),
            component("api", &["mongodb"]),
            component("bot", &["chat"]),
        ];
        let graph = Graph::new(&plan, &["mongodb".to_owned()]).unwrap();
        assert_eq!(graph.start_order(), ["api", "chat", "web", "bot"]);
        assert_eq!(graph.dependents("chat"), ["web", "bot"]);
        assert_eq!(graph.dependents("mongodb"), ["api"]);
        assert!(graph.dependents("bot").is_empty());
    }

    #[test]
    fn contradictions_are_named() {
        let error = |plan: &[ComponentSpec]| Graph::new(plan, &[]).unwrap_err();
        let cycle = [component("free", &[]), component("a", &["b"]), component("b", &["a"])];
        assert_eq!(error(&cycle), PlanError::Cycle(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(error(&[component("a", &["a"])]), PlanError::Cycle(vec!["a".to_owned()]));
        assert_eq!(error(&[component("a", &["b"])]).to_string(), "a needs 'b', which is not in the plan");
        assert_eq!(error(&[component("a", &[]), component("a", &[])]), PlanError::Twice("a".to_owned()));
        for name in ["", "A", "a.b", "a.0", "a.01", "a.1.2", "a.", ".1", "../a", &"x".repeat(41)] {
            assert_eq!(error(&[component(name, &[])]), PlanError::Name(name.to_owned()));
        }
    }
}
