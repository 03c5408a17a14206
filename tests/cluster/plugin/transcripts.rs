//! Transcripts: text files of commands and what they print, run again and compared.
//!
//! A line that begins with `$ ` is a command for `sh`, and so are the lines after it while one ends with a backslash.
//! What follows is its output, both streams as a terminal shows them, and `[exit N]` if it did not end with 0. Lines
//! that begin with `# ` are remarks. In a Markdown file only the blocks marked `console` count.
//!
//! What differs in every run (times, ids, names made by chance) is compared by its shape only. A name of a request in
//! a command stands for the one that was made in its place, and the namespace is called `support`. `UPDATE_TRANSCRIPTS=1` writes what was printed into the file.

use std::{env, fs, path::Path, process::Command, sync::LazyLock};

use regex::Regex;
use snapbox::IntoData as _;
use tempfile::TempDir;
use test_support::{ENGINEER, OPERATOR_NAMESPACE, TestEnv, run};
use tokio::sync::{Mutex, MutexGuard};

use super::users::let_request;

// One Organization can be called production at a time.
static PRODUCTION: Mutex<()> = Mutex::const_new(());

/// Names of requests as the plugin makes them.
static NAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b[a-z][a-z0-9-]*-[0-9a-f]{6}-[b-df-hj-km-np-tv-xz2-9]{5}\b"));

/// The namespace of the transcripts, where a command names it.
static NAMESPACE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(-n |--namespace[= ])support\b"));

/// What differs in every run, and how it is written in comparisons.
static VARIABLE: LazyLock<[(Regex, &str); 9]> = LazyLock::new(|| {
    [
        (pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "[TIME]"),
        (pattern(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "[UID]"),
        (pattern(r"\b[0-9a-f]{24}\b"), "[ID]"),
        (NAME.clone(), "[NAME]"),
        (pattern(r"http://127\.0\.0\.1:\d+"), "[SANDBOX]"),
        (pattern(r"\b(\d+d\d\dh|\d+h\d\dm|\d+m\d\ds|\d+s)\b"), "[SPAN]"),
        (pattern(r#"(resourceVersion"?: )"\d+""#), r#"$1"[VERSION]""#),
        // Other tests have Organizations of their own.
        (pattern(r"available Organizations: .*"), "available Organizations: [ORGANIZATIONS]"),
        // Columns are as wide as their widest cell.
        (pattern(r"(\S) {2,}"), "$1  "),
    ]
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern")
}

/// The guide's surroundings: an Organization called `production` with the console `https://org.amigo.ai`, and an
/// engineer with a namespace who may ask for access.
pub struct Production {
    /// Sandbox, namespace, and the Organization's name.
    pub env: TestEnv,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Production {
    /// Sets them up, when no other test has them.
    pub async fn new() -> Self {
        let turn = PRODUCTION.lock().await;
        let mut env = TestEnv::with_operator("support").await;
        "production".clone_into(&mut env.organization);
        env.forget_organization().await;
        env.connect("  consoleUrl: https://org.amigo.ai").await;
        env.until_ready("amorg", "production").await;
        let_request(&env, ENGINEER).await;
        let folder = tempfile::tempdir().expect("a folder");
        let production = Self { env, folder, _turn: turn };
        let plane = production.env.plane();
        fs::write(production.folder.path().join("config"), plane.kubeconfig()).expect("a kubeconfig");
        for settled in [
            format!("kubectl config use-context {ENGINEER}"),
            format!("kubectl config set-context --current --namespace {}", production.env.namespace),
        ] {
            assert!(run(&mut production.shell(&settled)).success, "{settled}");
        }
        production
    }

    /// Runs every command of a file again and compares what it prints; `file` is relative to the repository.
    pub fn replay(&self, file: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let expected = fs::read_to_string(&path).expect(file);
        let mut names = Names::default();
        let mut actual = String::new();
        for part in parse(&expected, path.extension().is_some_and(|extension| extension == "md")) {
            match part {
                Part::Text(text) => actual.push_str(text),
                Part::Step { command, output } => {
                    actual.push_str(command);
                    actual.push_str(&self.step(command, output, &mut names));
                }
            }
        }
        if env::var_os("UPDATE_TRANSCRIPTS").is_some() {
            fs::write(&path, actual).expect("written");
            return;
        }
        snapbox::assert_data_eq!(comparable(&actual), comparable(&expected).raw());
    }

    /// Runs one command. Output of the shape that was expected counts as the expected one.
    fn step(&self, command: &str, expected: &str, names: &mut Names) -> String {
        let lines = command.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
        let line = names.real(&lines.collect::<Vec<_>>().join("\n"));
        let namespace = &self.env.namespace;
        let line = NAMESPACE.replace_all(&line, format!("${{1}}{namespace}"));
        let ran = run(&mut self.shell(&format!("exec 2>&1\n{line}")));
        let end = if ran.code == 0 { String::new() } else { format!("[exit {}]\n", ran.code) };
        let printed = ran.stdout.replace(namespace, "support") + &end;
        names.learn(expected, &printed);
        let printed = names.written(&printed);
        if comparable(&printed) == comparable(expected) { expected.to_owned() } else { printed }
    }

    fn shell(&self, script: &str) -> Command {
        let kubectl = self.env.plane().kubectl();
        let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-amigo"));
        let folders = [&kubectl, plugin].map(|program| program.parent().expect("a folder").to_owned());
        let path = env::var_os("PATH").unwrap_or_default();
        let path = env::join_paths(folders.into_iter().chain(env::split_paths(&path))).expect("a path");
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("PATH", path)
            .env("KUBECONFIG", self.folder.path().join("config"))
            .env("KUBECACHEDIR", self.folder.path().join("cache"))
            .env("NO_PROXY", "127.0.0.1")
            .envs([("AMIGO_OPERATOR_NAMESPACE", OPERATOR_NAMESPACE), ("AMIGO_ALLOWED_API_HOST", "http://127.0.0.1")])
            .env_remove("AMIGO_USER_EMAIL");
        command
    }
}

fn comparable(text: &str) -> String {
    VARIABLE.iter().fold(text.to_owned(), |text, (variable, shape)| variable.replace_all(&text, *shape).into_owned())
}

/// Which name of the file stands for which name of this run.
#[derive(Default)]
struct Names(Vec<(String, String)>);

impl Names {
    /// Names are new in the same order as in the file.
    fn learn(&mut self, expected: &str, printed: &str) {
        let fresh = |text: &str, known: &dyn Fn(&str) -> bool| {
            let mut found: Vec<String> = Vec::new();
            for name in NAME.find_iter(text).map(|found| found.as_str()) {
                if !known(name) && !found.iter().any(|one| one == name) {
                    found.push(name.to_owned());
                }
            }
            found
        };
        let written = fresh(expected, &|name| self.0.iter().any(|(written, _)| written == name));
        let real = fresh(printed, &|name| self.0.iter().any(|(_, real)| real == name));
        self.0.extend(written.into_iter().zip(real));
    }

    fn real(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (written, real)| text.replace(written, real))
    }

    fn written(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (written, real)| text.replace(real, written))
    }
}

/// A piece of a file.
enum Part<'a> {
    /// Prose, remarks, blank lines.
    Text(&'a str),
    /// A command, with `$ `, and its output.
    Step { command: &'a str, output: &'a str },
}

fn parse(text: &str, markdown: bool) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut in_console = !markdown;
    let mut rest = text;
    while !rest.is_empty() {
        let line = first_lines(rest, |_| false);
        if markdown && line.starts_with("```") {
            in_console = line.trim_end() == "```console";
        }
        if !in_console || !line.starts_with("$ ") {
            parts.push(Part::Text(line));
            rest = &rest[line.len()..];
            continue;
        }
        let command = first_lines(rest, |line| line.trim_end().ends_with('\\'));
        rest = &rest[command.len()..];
        let end = |line: &str| line.starts_with("$ ") || line.starts_with("# ") || line.starts_with("```");
        let length = rest.split_inclusive('\n').take_while(|line| !end(line)).map(str::len).sum();
        // Blank lines before the next command are the file's, not the command's.
        let output = rest[..length].trim_end_matches('\n');
        let output = if output.is_empty() { "" } else { &rest[..=output.len()] };
        parts.push(Part::Step { command, output });
        rest = &rest[output.len()..];
    }
    parts
}

/// The first line, and further ones while the line before says so.
fn first_lines(text: &str, goes_on: impl Fn(&str) -> bool) -> &str {
    let mut length = 0;
    for line in text.split_inclusive('\n') {
        length += line.len();
        if !goes_on(line) {
            break;
        }
    }
    &text[..length]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_requests() {
    let production = Production::new().await;
    production.replay("tests/cluster/plugin/transcripts/request-access.txt");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guides_listings() {
    let production = Production::new().await;
    production.replay("tests/cluster/plugin/transcripts/list-access.txt");
}

#[test]
fn a_transcript_has_commands_outputs_and_remarks() {
    let text = "# one\n$ first \\\n  more\nout\n\nput\n\n$ second\n# end\n";
    let parts = parse(text, false).into_iter().map(|part| match part {
        Part::Text(text) => ("", text),
        Part::Step { command, output } => (command, output),
    });
    let wanted =
        [("", "# one\n"), ("$ first \\\n  more\n", "out\n\nput\n"), ("", "\n"), ("$ second\n", ""), ("", "# end\n")];
    assert_eq!(parts.collect::<Vec<_>>(), wanted);
    let fenced = parse("$ no\n```console\n$ yes\nout\n```\n$ no\n", true);
    let steps = fenced.iter().filter(|part| matches!(part, Part::Step { output: "out\n", .. })).count();
    assert_eq!((steps, fenced.len()), (1, 5));
}

#[test]
fn names_in_commands_stand_for_those_of_the_run() {
    let mut names = Names::default();
    names.learn("eng-abc123-x7k2p created", "eng-abc123-bbbbb created");
    assert_eq!(names.real("revoke eng-abc123-x7k2p"), "revoke eng-abc123-bbbbb");
    assert_eq!(names.written("eng-abc123-bbbbb is gone"), "eng-abc123-x7k2p is gone");
}
