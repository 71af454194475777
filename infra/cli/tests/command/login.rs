//! How people log in at AWS, beside a stand-in for its endpoints.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::support::{Home, Said};

/// A profile of each kind. The files of tokens are named by hashes of `corp` and of the session.
const PROFILES: &str = "
[profile keys]
region = eu-west-1
aws_access_key_id = KEYOFFILE
aws_secret_access_key = secret

[profile single-sign-on]
region = eu-west-1
sso_session = corp
sso_account_id = 111122223333
sso_role_name = operator

[sso-session corp]
sso_region = eu-west-1
sso_start_url = https://corp.awsapps.com/start
sso_registration_scopes = sso:account:access

[profile sign-in]
region = eu-west-1
login_session = arn:aws:iam::111122223333:user/jane

[profile process]
region = eu-west-1
credential_process = cat process.json

[profile broken-process]
region = eu-west-1
credential_process = cat no-such-file.json

[profile nowhere]
credential_process = cat process.json
";
const SIGN_ON_TOKEN: &str = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
const SIGN_IN_TOKEN: &str = ".aws/login/cache/b1abda7fa13f8cc94a6e2fab6084b3c9f8ebc6100820b2ab67cbdfadc642d402.json";

/// Answers as AWS does where a role's credentials are asked for, and knows no stack.
struct Aws {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Aws {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let _ = answer(stream, &told);
            }
        });
        Self { address, seen }
    }

    /// The access keys, and the regions, with which CloudFormation was asked.
    fn asked_by(&self) -> Vec<(String, String)> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let scope = |line: &String| {
            let parts: Vec<String> = line.split("Credential=").nth(1)?.split('/').map(str::to_owned).collect();
            Some((parts[0].clone(), parts[2].clone()))
        };
        seen.iter().filter_map(scope).collect()
    }
}

fn answer(stream: TcpStream, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let (name, value) = line.split_once(':').unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "" => break,
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => seen.lock().unwrap().push(value.trim().to_owned()),
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length])?;
    let (status, body) = if first.starts_with("GET /federation/credentials") {
        let keys =
            r#""accessKeyId":"KEYOFROLE","secretAccessKey":"secret","sessionToken":"t","expiration":4102444800000"#;
        ("200 OK", format!("{{\"roleCredentials\":{{{keys}}}}}"))
    } else {
        let error = "<Error><Type>Sender</Type><Code>ValidationError</Code><Message>Stack with id customers does not \
                     exist</Message></Error>";
        ("400 Bad Request", format!("<ErrorResponse>{error}</ErrorResponse>"))
    };
    let length = body.len();
    write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// A user's home with the profiles, and nothing of this machine's own logins.
fn home() -> Home {
    let home = Home::empty();
    for directory in [".aws/sso/cache", ".aws/login/cache"] {
        std::fs::create_dir_all(home.path(directory)).unwrap();
    }
    home.write(".aws/config", PROFILES);
    let process = r#"{"Version":1,"AccessKeyId":"KEYOFPROCESS","SecretAccessKey":"secret"}"#;
    home.write("process.json", process);
    home.write(
        SIGN_ON_TOKEN,
        r#"{"accessToken":"t","expiresAt":"2100-01-01T00:00:00Z","region":"eu-west-1","startUrl":"https://corp.awsapps.com/start"}"#,
    );
    let keys =
        r#""accessKeyId":"KEYOFSIGNIN","secretAccessKey":"secret","sessionToken":"t","accountId":"111122223333""#;
    home.write(
        SIGN_IN_TOKEN,
        &format!(
            r#"{{"accessToken":{{{keys},"expiresAt":"2100-01-01T00:00:00Z"}},"tokenType":"aws_sigv4","refreshToken":"r","clientId":"arn:aws:signin:::devtools/same-device","dpopKey":"k"}}"#
        ),
    );
    home
}

fn status(home: &Home, aws: &str, arguments: &str, variables: &[(&str, &str)]) -> Said {
    let mut command = home.command(&format!("status --stack customers {arguments}"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("HOME", home.directory.path()).env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_ENDPOINT_URL", aws);
    Said::of(command.envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn a_profile_of_each_kind_logs_in() {
    let (home, aws) = (home(), Aws::start());
    for (profile, key) in [
        ("keys", "KEYOFFILE"),
        ("single-sign-on", "KEYOFROLE"),
        ("sign-in", "KEYOFSIGNIN"),
        ("process", "KEYOFPROCESS"),
    ] {
        let expected = vec![(key.to_owned(), "eu-west-1".to_owned())];
        let said = status(&home, &aws.address, &format!("--profile {profile}"), &[]);
        assert_eq!(said.error(), "stack customers: Stack with id customers does not exist", "{profile}");
        assert_eq!(aws.asked_by(), expected, "{profile}");
        let said = status(&home, &aws.address, "", &[("AWS_PROFILE", profile)]);
        assert_eq!(said.error(), "stack customers: Stack with id customers does not exist", "AWS_PROFILE={profile}");
        assert_eq!(aws.asked_by(), expected, "AWS_PROFILE={profile}");
    }
}

#[test]
fn what_is_given_comes_before_variables() {
    let (home, aws) = (home(), Aws::start());
    let variables =
        [("AWS_ACCESS_KEY_ID", "KEYOFVARIABLE"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "eu-north-1")];
    status(&home, &aws.address, "", &variables);
    assert_eq!(aws.asked_by(), [("KEYOFVARIABLE".to_owned(), "eu-north-1".to_owned())]);
    status(&home, &aws.address, "--profile process --region us-west-2", &variables);
    assert_eq!(aws.asked_by(), [("KEYOFPROCESS".to_owned(), "us-west-2".to_owned())]);
}

#[test]
fn who_can_not_log_in_is_told_why() {
    let (home, aws) = (home(), Aws::start());
    std::fs::remove_file(home.path(SIGN_ON_TOKEN)).unwrap();
    std::fs::remove_file(home.path(SIGN_IN_TOKEN)).unwrap();
    for (profile, region, reason) in [
        ("nowhere", "", "no region: set AWS_REGION or give --region"),
        ("single-sign-on", "", "failed to load the cached SSO token; log in, as by `aws sso login`"),
        ("sign-in", "", "b1abda7fa13f8cc94a6e2fab6084b3c9f8ebc6100820b2ab67cbdfadc642d402.json"),
        ("broken-process", "", "no-such-file.json"),
        ("misspelt", "--region eu-west-1", "misspelt"),
    ] {
        let said = status(&home, &aws.address, &format!("--profile {profile} {region}"), &[]);
        assert!(said.error().starts_with("stack customers: ") && said.error().contains(reason), "{profile}: {said:?}");
        assert!(!said.stderr.contains("could not be reached"), "{profile}: {said:?}");
    }
    let said = status(&home, &aws.address, "--region eu-west-1", &[]);
    assert!(said.error().contains("no credentials found in chain"), "{said:?}");
    let said = status(&home, "http://127.0.0.1:1", "--profile keys", &[]);
    assert!(said.error().to_lowercase().contains("connection refused"), "{said:?}");
    assert!(aws.asked_by().is_empty());
}
