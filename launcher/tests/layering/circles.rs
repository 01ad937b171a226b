//! The modules of a crate have no cyclic dependencies, neither directly nor through others.
//!
//! Each file is a module. A module uses the paths in its code, without tests; a re-exported name counts for the module that defines it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::root;
use super::source::{Named, Source};

/// A module's path within its crate; that of the crate itself is empty.
type Module = Vec<String>;
type Graph = BTreeMap<Module, BTreeSet<Module>>;

/// The code of a crate.
struct Crate {
    modules: BTreeMap<Module, Source>,
    /// The definition that a module's name refers to.
    exports: BTreeMap<(Module, String), Module>,
}

impl Crate {
    fn read(src: &Path) -> Self {
        let mut modules = BTreeMap::new();
        for file in files(src) {
            let mut module: Module = file
                .strip_prefix(src)
                .unwrap()
                .with_extension("")
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            if module == ["lib"] || module == ["main"] && !src.join("lib.rs").is_file() {
                module.clear();
            } else if module == ["main"] {
                continue;
            }
            if module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            modules.insert(module, Source::read(&std::fs::read_to_string(file).unwrap()));
        }
        let tests: Vec<Module> = modules
            .iter()
            .flat_map(|(module, source)| {
                source.tests.iter().map(|test| [&module[..], std::slice::from_ref(test)].concat())
            })
            .collect();
        modules.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        let mut this = Self { modules, exports: BTreeMap::new() };
        let names = |(module, Named { path, exported })| Some(((module, exported?), path));
        this.exports = this.paths().into_iter().filter_map(names).collect();
        this
    }

    /// Every path that a module names, from the crate's root.
    fn paths(&self) -> Vec<(Module, Named)> {
        let mut paths = Vec::new();
        for (module, source) in &self.modules {
            let is_child = |other: &&Module| other.split_last().is_some_and(|(_, parent)| parent == module);
            let children = self.modules.keys().filter(is_child).map(|child| child[module.len()].clone());
            for mut named in source.paths(&children.collect()) {
                let mut at = module.clone();
                let relative =
                    named.path.iter().take_while(|word| matches!(word.as_str(), "crate" | "super" | "self"));
                let skipped = relative.clone().count();
                for word in relative {
                    match word.as_str() {
                        "crate" => at.clear(),
                        "super" => _ = at.pop(),
                        _ => {}
                    }
                }
                at.extend(named.path.drain(skipped..));
                named.path = at;
                paths.push((module.clone(), named));
            }
        }
        paths
    }

    /// The module in which a name is defined.
    fn module_of(&self, path: &[String]) -> Module {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let depth =
                (0..=path.len()).rev().find(|depth| self.modules.contains_key(&path[..*depth])).unwrap_or(0);
            let module = path[..depth].to_vec();
            let name = path.get(depth).cloned().unwrap_or_default();
            match self.exports.get(&(module.clone(), name)) {
                Some(stands_for) if *stands_for != path[..=depth] => {
                    path = [&stands_for[..], &path[depth + 1..]].concat();
                }
                Some(_) | None => return module,
            }
        }
        panic!("{path:?} is re-exported in a circle")
    }

    fn graph(&self) -> Graph {
        let mut graph: Graph = self.modules.keys().map(|module| (module.clone(), BTreeSet::new())).collect();
        for (module, named) in self.paths() {
            let used = self.module_of(&named.path);
            if used != module {
                graph.get_mut(&module).unwrap().insert(used);
            }
        }
        graph
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut files = Vec::new();
    for path in entries {
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Everything that a module uses, also through others.
fn reach(graph: &Graph, from: &Module) -> BTreeSet<Module> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for used in &graph[module] {
            if reached.insert(used.clone()) {
                open.push(used);
            }
        }
    }
    reached
}

/// The uses that are part of a cycle.
fn circular(graph: &Graph) -> BTreeSet<(Module, Module)> {
    let reached: BTreeMap<_, _> = graph.keys().map(|module| (module, reach(graph, module))).collect();
    let uses = graph.iter().flat_map(|(from, used)| used.iter().map(move |to| (from, to)));
    uses.filter(|(from, to)| reached[to].contains(*from))
        .map(|(from, to)| (from.clone(), to.clone()))
        .collect()
}

fn name(module: &Module) -> String {
    if module.is_empty() { "crate".to_owned() } else { module.join("::") }
}

#[test]
fn no_module_uses_one_that_uses_it() {
    let components =
        std::fs::read_dir(root().join("components")).unwrap().flatten().map(|entry| entry.path());
    let crates = components.chain(["launcher", "launcher/supervisor", "bench"].map(|name| root().join(name)));
    let mut found = BTreeSet::new();
    for folder in crates.filter(|folder| folder.join("Cargo.toml").is_file()) {
        let crate_name = folder.file_name().unwrap().to_str().unwrap();
        for (from, to) in circular(&Crate::read(&folder.join("src")).graph()) {
            found.insert(format!("{crate_name}: {} -> {}", name(&from), name(&to)));
        }
    }
    let found: String = found.iter().map(|pair| format!("\n    {pair}")).collect();
    assert!(found.is_empty(), "a module uses another one that uses it, perhaps by way of others:{found}");
}

/// The layers of the chat server, lowest first. Modules beside them may use and be used freely, without cycles.
const ROOMS: [&[&str]; 4] = [&["dialect", "directory"], &["delivery"], &["access"], &["session"]];

#[test]
fn a_room_of_the_chat_server_uses_only_those_below_it() {
    let graph = Crate::read(&root().join("components/chat-server/src")).graph();
    let room =
        |module: &Module| module.first().cloned().filter(|first| ROOMS.concat().contains(&first.as_str()));
    let floor = |room: &str| ROOMS.iter().position(|rooms| rooms.contains(&room));
    let mut seen = 0;
    for (from, used) in &graph {
        let Some(here) = room(from) else { continue };
        for there in used.iter().filter_map(room).filter(|there| *there != here) {
            assert!(floor(&there) < floor(&here), "{} must not use {there}", name(from));
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

/// A dialect is a variant of `Dialect` with a file of the same name.
#[test]
fn the_chat_servers_sessions_name_no_dialect() {
    let server = root().join("components/chat-server/src");
    let list = std::fs::read_to_string(server.join("dialect.rs")).unwrap();
    let list = list.split("dialects! {").nth(1).unwrap().split('}').next().unwrap();
    let dialects: Vec<&str> = list.lines().filter_map(|line| Some(line.split_once("=>")?.0.trim())).collect();
    assert!(dialects.contains(&"Native") && dialects.len() > 2, "{dialects:?}");
    let room = Crate::read(&server)
        .modules
        .into_iter()
        .filter(|(module, _)| module.starts_with(&["session".to_owned()]));
    let mut seen = 0;
    for (module, source) in room {
        seen += 1;
        for dialect in &dialects {
            let is_named = source.says(dialect) || source.says(&dialect.to_lowercase());
            assert!(!is_named, "{} names {dialect}", name(&module));
        }
    }
    assert!(seen > 8, "{seen}");
}
