//! Where each call stands in the user's Python, from the metadata that the exporter leaves on each node.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use ir::{Frame, Leaf};

use super::program::Graph;

/// Reads the metadata of nodes into [`Leaf`]s.
pub(super) struct Reader {
    /// The folder that the user calls theirs, if any.
    source_root: Option<PathBuf>,
    /// The folders above all files of the program that lie in no installed package, with a slash at the end.
    prefix: String,
}

impl Reader {
    /// Looks at every file that the program names, so that what their paths have in common can be left out.
    pub(super) fn new(graph: &Graph, source_root: Option<&Path>) -> Self {
        let mut prefix: Option<String> = None;
        for node in &graph.nodes {
            let trace = node.metadata.get("stack_trace").map_or("", String::as_str);
            for file in trace.lines().filter_map(|line| Some(header(line)?.0)) {
                if pseudo(file) || installed(file).is_some() {
                    continue;
                }
                let folder = &file[..file.rfind(['/', '\\']).map_or(0, |i| i + 1)];
                prefix = Some(match prefix {
                    None => folder.to_owned(),
                    Some(common) => shared_folders(&common, folder).to_owned(),
                });
            }
        }
        Reader { source_root: source_root.map(Path::to_path_buf), prefix: prefix.unwrap_or_default() }
    }

    /// The call that a node's metadata tells of. `around` is that of the region it was inlined from, which serves
    /// where the node itself has no trace.
    pub(super) fn leaf(
        &self,
        metadata: &IndexMap<String, String>,
        target: &str,
        node: &str,
        around: Option<&Leaf>,
    ) -> Leaf {
        let trace = metadata.get("stack_trace").map_or("", String::as_str);
        let full = frames(trace);
        let user = self.user_line(&full);
        let frames: Vec<Frame> =
            full.into_iter().map(|frame| Frame { file: self.shown(&frame.file), ..frame }).collect();
        let (module, class) = innermost_module(metadata.get("nn_module_stack").map_or("", String::as_str));
        let mut leaf = Leaf { frames, user, module, class, target: target.to_owned(), node: node.to_owned() };
        let Some(around) = around else { return leaf };
        if leaf.user.is_none() {
            leaf.frames.clone_from(&around.frames);
            leaf.user = around.user;
        }
        if leaf.class.is_empty() {
            leaf.module.clone_from(&around.module);
            leaf.class.clone_from(&around.class);
        }
        leaf
    }

    /// The innermost line that is the user's: under their source root where one is given and on the stack, else
    /// outside of PyTorch itself.
    fn user_line(&self, frames: &[Frame]) -> Option<usize> {
        let within = |root: &PathBuf| frames.iter().rposition(|f| Path::new(&f.file).starts_with(root));
        let theirs = self.source_root.as_ref().and_then(within);
        theirs.or_else(|| frames.iter().rposition(|f| !pseudo(&f.file) && !is_torch(&f.file)))
    }

    /// A path as it is shown: relative to the source root, to the installed packages, or to what all have in common.
    fn shown(&self, file: &str) -> String {
        if let Some(rest) = self.source_root.as_ref().and_then(|root| Path::new(file).strip_prefix(root).ok())
        {
            return rest.display().to_string();
        }
        installed(file).or_else(|| file.strip_prefix(&self.prefix)).unwrap_or(file).to_owned()
    }
}

/// The frames of a Python traceback, outermost first.
fn frames(trace: &str) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    for line in trace.lines() {
        if let Some((file, number, function)) = header(line) {
            let (file, function) = (file.to_owned(), function.to_owned());
            frames.push(Frame { file, line: number, function, code: String::new() });
            continue;
        }
        // The code follows its header; what follows the code are carets.
        if let Some(frame) = frames.last_mut()
            && frame.code.is_empty()
        {
            frame.code = line.trim().to_owned();
        }
    }
    frames
}

/// Reads `File "model.py", line 12, in forward`.
fn header(line: &str) -> Option<(&str, u32, &str)> {
    let (file, rest) = line.trim_start().strip_prefix("File \"")?.rsplit_once("\", line ")?;
    let (number, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    Some((file, number.trim().parse().ok()?, function.trim()))
}

/// Is it no file but code made at run time, such as `<eval_with_key>.3`?
fn pseudo(file: &str) -> bool {
    file.starts_with('<') || file.contains("/<")
}

/// The path inside the folder of installed packages, where it is one of those.
fn installed(file: &str) -> Option<&str> {
    ["site-packages/", "dist-packages/", "site-packages\\"]
        .iter()
        .find_map(|folder| file.rfind(folder).map(|at| &file[at + folder.len()..]))
}

/// Does the file belong to PyTorch?
fn is_torch(file: &str) -> bool {
    if let Some(inside) = installed(file) {
        return inside.starts_with("torch/") || inside.starts_with("torch\\");
    }
    // PyTorch run from its own source tree.
    ["/torch/nn/", "/torch/_", "/torch/fx/", "/torch/export/", "/torch/utils/"]
        .iter()
        .any(|f| file.contains(f))
}

/// The folders that two paths to folders begin with.
fn shared_folders<'a>(a: &'a str, b: &str) -> &'a str {
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    let end = a.as_bytes()[..same].iter().rposition(|&c| c == b'/' || c == b'\\').map_or(0, |i| i + 1);
    &a[..end]
}

/// Path and class of the last item of `key,path,class;…`, whose classes may have commas in brackets.
fn innermost_module(stack: &str) -> (String, String) {
    let mut fields = vec![String::new()];
    let mut depth = 0i32;
    for c in stack.chars() {
        match c {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            ';' if depth <= 0 => {
                fields = vec![String::new()];
                continue;
            }
            ',' if depth <= 0 => {
                fields.push(String::new());
                continue;
            }
            _ => {}
        }
        fields.last_mut().expect("there is always a field").push(c);
    }
    let mut fields = fields.into_iter().skip(1);
    (fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "File \"/home/ann/net/model.py\", line 30, in forward\n    return self.head(x)\n  \
        File \"/env/lib/python3.12/site-packages/torch/nn/modules/container.py\", line 259, in forward\n    \
        input = module(input)\n  File \"/env/lib/python3.12/site-packages/torchvision/models/resnet.py\", line 93, \
        in forward\n    out = self.bn1(out)\n          ^^^^^^^^^^^^^\n  \
        File \"/env/lib/python3.12/site-packages/torch/nn/modules/batchnorm.py\", line 210, in forward\n    \
        return F.batch_norm(\n  File \"<eval_with_key>.3\", line 5, in forward\n    x = y\n";

    fn reader(source_root: Option<&str>) -> Reader {
        Reader { source_root: source_root.map(PathBuf::from), prefix: "/home/ann/".into() }
    }

    fn metadata() -> IndexMap<String, String> {
        let stack = "L__self__,,net.Net;L['s'].i,layer1.0.bn1,a.Pair[int, b.C[x;y]]";
        [("stack_trace".into(), TRACE.into()), ("nn_module_stack".into(), stack.into())].into_iter().collect()
    }

    #[test]
    fn the_innermost_line_outside_of_torch_is_the_users() {
        let leaf = reader(None).leaf(&metadata(), "aten.batch_norm.default", "batch_norm", None);
        let line = leaf.line().unwrap();
        assert_eq!(
            (line.file.as_str(), line.line, line.code.as_str()),
            ("torchvision/models/resnet.py", 93, "out = self.bn1(out)")
        );
        assert_eq!(leaf.frames.len(), 5);
        assert_eq!(leaf.frames[0].file, "net/model.py");
        assert_eq!((leaf.module.as_str(), leaf.class.as_str()), ("layer1.0.bn1", "a.Pair[int, b.C[x;y]]"));
    }

    #[test]
    fn a_source_root_prefers_the_users_own_files() {
        let leaf = reader(Some("/home/ann/net")).leaf(&metadata(), "t", "n", None);
        assert_eq!(leaf.line().map(|l| (l.file.as_str(), l.line)), Some(("model.py", 30)));
        let elsewhere = reader(Some("/srv")).leaf(&metadata(), "t", "n", None);
        assert_eq!(elsewhere.line().unwrap().line, 93);
    }

    #[test]
    fn a_node_without_a_trace_stands_where_its_region_does() {
        let around = reader(None).leaf(&metadata(), "higher_order.wrap", "wrap", None);
        let leaf = reader(None).leaf(&IndexMap::new(), "aten.sin.default", "sin", Some(&around));
        assert_eq!(
            (leaf.line(), leaf.module.as_str(), leaf.node.as_str()),
            (around.line(), "layer1.0.bn1", "sin")
        );
    }

    #[test]
    fn common_folders_end_at_a_slash() {
        assert_eq!(shared_folders("/home/ann/net/", "/home/anna/net/"), "/home/");
        assert_eq!(shared_folders("/a/b/", "/a/b/c/"), "/a/b/");
        assert_eq!(shared_folders("a/", "b/"), "");
        assert_eq!(shared_folders("/ä/", "/ö/"), "/");
    }
}
