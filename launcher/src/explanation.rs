//! Why a component waits: what it waits for, and what that waits for, down to what really is the matter.

use crate::supervisor::Snapshot;
use crate::supervisor::status::{ComponentStatus, DependencyStatus};

/// What a component waits for, directly or by way of others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    /// Another component.
    Component(&'a ComponentStatus),
    /// What we do not run.
    Dependency(&'a DependencyStatus),
}

impl<'a> Cause<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Component(component) => &component.name,
            Self::Dependency(dependency) => &dependency.name,
        }
    }
}

/// All of it, each once, what comes first being nearest.
pub(crate) fn causes<'a>(snapshot: &'a Snapshot, component: &'a ComponentStatus) -> Vec<Cause<'a>> {
    let mut causes: Vec<Cause<'_>> = Vec::new();
    let mut open: Vec<&str> = component.waits_for.iter().rev().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        if causes.iter().any(|known| known.name() == name) {
            continue;
        }
        if let Some(needed) = snapshot.component(name) {
            open.extend(needed.waits_for.iter().rev().map(String::as_str));
            causes.push(Cause::Component(needed));
        } else if let Some(needed) = snapshot.dependencies.iter().find(|needed| needed.name == name) {
            causes.push(Cause::Dependency(needed));
        }
    }
    causes
}
