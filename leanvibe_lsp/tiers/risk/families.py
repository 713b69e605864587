"""The weaknesses that calls hint at: for each family the calls, what makes them harmless, and how to say it.

A call is named as it is imported (`os.system`); `*.execute` is a method of any object. A guard is an identifier, or an
argument as `verify=True`, that stands beside the call where people did it right. Neither proves anything: the model
learns what each is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of weakness; `words` complete "it ...", `cwe` are its numbers in MITRE's list. Some no call hints at."""

    name: str
    words: str
    cwe: frozenset[int]
    calls: frozenset[str]
    guards: frozenset[str]


def _family(name: str, words: str, cwe: str, calls: str, guards: str = "") -> Family:
    numbers = frozenset(int(one) for one in cwe.split())
    return Family(name, words, numbers, frozenset(calls.split()), frozenset(guards.split()))


FAMILIES = (
    _family(
        "shell", "runs a command in a shell", "77 78",
        "os.system os.popen subprocess.getoutput subprocess.getstatusoutput asyncio.create_subprocess_shell"
        " *.create_subprocess_shell *.exec_command popen2.popen2 commands.getoutput shell=True exec.Command"
        " child_process.exec Runtime.exec",
        "quote shell=False",
    ),
    _family(
        "process", "starts a program", "88 426 77",
        "subprocess.run subprocess.call subprocess.Popen subprocess.check_output subprocess.check_call os.execv"
        " os.execl os.execvp os.execlp os.execve os.spawnl os.spawnv os.spawnlp os.spawnvp os.startfile"
        " asyncio.create_subprocess_exec pty.spawn sh.Command",
        "timeout check=True fullmatch executable",
    ),
    _family(
        "code", "turns text into running code", "94 95 96 98 470",
        "eval exec compile execfile runpy.run_path runpy.run_module importlib.import_module __import__ code.interact"
        " *.eval *.query code.InteractiveInterpreter timeit.timeit imp.load_source types.FunctionType",
        "literal_eval PLUGINS ALLOWED",
    ),
    _family(
        "sql", "sends a statement to a database", "89 564",
        "*.execute *.executemany *.executescript *.raw *.extra *.read_sql *.read_sql_query sqlalchemy.text text"
        " *.mogrify *.execute_sql *.RawSQL RawSQL *.Query *.Exec *.QueryRow *.query",
        "Identifier bindparams Literal",
    ),
    _family(
        "document database", "queries a document database", "943",
        "*.find_one *.find *.aggregate *.update_one *.update_many *.delete_many *.map_reduce *.find_one_and_update",
        "isinstance str ObjectId",
    ),
    _family(
        "path", "opens or changes a file by its path", "22 23 36 73 59 61",
        "open os.open os.remove os.unlink os.rename os.replace os.makedirs os.mkdir os.rmdir os.listdir os.path.join"
        " shutil.rmtree shutil.copy shutil.copyfile shutil.move io.open codecs.open pathlib.Path *.write_text"
        " *.write_bytes *.read_text *.read_bytes *.joinpath flask.send_file fastapi.responses.FileResponse"
        " starlette.responses.FileResponse django.http.FileResponse send_file FileResponse *.Open *.ReadFile"
        " *.readFile *.readFileSync",
        "resolve realpath is_relative_to commonpath secure_filename basename send_from_directory safe_join uuid4"
        " relative_to",
    ),
    _family(
        "archive", "unpacks an archive", "22 409 23",
        "zipfile.ZipFile tarfile.open tarfile.TarFile *.extractall *.extract shutil.unpack_archive zlib.decompress"
        " gzip.open bz2.decompress gzip.decompress *.namelist",
        "filter is_relative_to file_size MAX_TOTAL filter=data commonpath",
    ),
    _family(
        "objects", "makes objects of stored data", "502",
        "pickle.load pickle.loads pickle.Unpickler cPickle.load cPickle.loads dill.load dill.loads dill.Unpickler"
        " marshal.load marshal.loads shelve.open yaml.load yaml.load_all yaml.unsafe_load yaml.full_load"
        " yaml.unsafe_load_all jsonpickle.decode torch.load joblib.load pandas.read_pickle *.read_pickle numpy.load"
        " cloudpickle.loads cloudpickle.load _pickle.loads *.readObject",
        "SafeLoader safe_load weights_only=True allow_pickle=False compare_digest hexdigest CSafeLoader",
    ),
    _family(
        "xml", "reads XML", "611 776 91 827 112",
        "xml.etree.ElementTree.parse xml.etree.ElementTree.fromstring xml.etree.ElementTree.iterparse"
        " xml.etree.ElementTree.XMLParser xml.dom.minidom.parse xml.dom.minidom.parseString xml.sax.parse"
        " xml.sax.parseString xml.sax.make_parser xml.dom.pulldom.parse xml.dom.pulldom.parseString"
        " lxml.etree.parse lxml.etree.fromstring lxml.etree.XMLParser lxml.etree.XML lxml.etree.iterparse"
        " lxml.etree.XSLT xml.etree.cElementTree.parse xml.etree.cElementTree.fromstring"
        " xml.dom.expatbuilder.parse xml.sax.expatreader.create_parser",
        "defusedxml resolve_entities=False forbid_dtd=True no_network=True",
    ),
    _family(
        "html", "makes HTML or a template", "79 80 87 116 1336 83",
        "flask.render_template_string render_template_string markupsafe.Markup flask.Markup Markup"
        " django.utils.safestring.mark_safe mark_safe django.http.HttpResponse HttpResponse"
        " fastapi.responses.HTMLResponse HTMLResponse jinja2.Template jinja2.Environment mako.template.Template"
        " django.template.Template *.from_string flask.make_response *.HTML *.innerHTML"
        " django.utils.html.format_html aiohttp.web.Response",
        "escape bleach autoescape autoescape=True select_autoescape format_html_join SandboxedEnvironment clean"
        " render_template render",
    ),
    _family(
        "redirect", "sends a browser elsewhere", "601",
        "flask.redirect redirect django.shortcuts.redirect django.http.HttpResponseRedirect HttpResponseRedirect"
        " fastapi.responses.RedirectResponse RedirectResponse starlette.responses.RedirectResponse *.redirect"
        " http.Redirect",
        "url_has_allowed_host_and_scheme urlsplit urlparse netloc url_for is_safe_url reverse",
    ),
    _family(
        "request", "asks another server", "918 441 295",
        "requests.get requests.post requests.put requests.delete requests.head requests.request requests.Session"
        " httpx.get httpx.post httpx.AsyncClient httpx.Client urllib.request.urlopen urllib.request.urlretrieve"
        " urllib.request.Request urllib.urlopen urllib2.urlopen aiohttp.ClientSession http.client.HTTPConnection"
        " http.client.HTTPSConnection socket.create_connection http.Get *.urlopen",
        "urlsplit urlparse is_global ALLOWED_HOSTS HOSTS hostname raise_for_status timeout",
    ),
    _family(
        "directory", "asks a directory or an XML tree", "90 643",
        "*.search_s *.search_ext_s *.search_st *.xpath *.simple_bind_s ldap3.Connection ldap.initialize"
        " lxml.etree.XPath *.bind_s",
        "escape_filter_chars escape_rdn escape_dn_chars dn",
    ),
    _family(
        "cryptography", "encrypts, hashes or signs", "326 327 328 329 916 759 760 1204 780 321",
        "hashlib.md5 hashlib.sha1 hashlib.new hashlib.sha256 hashlib.md4 Crypto.Cipher.AES.new Crypto.Cipher.DES.new"
        " Crypto.Cipher.ARC4.new Crypto.Cipher.Blowfish.new Crypto.Cipher.DES3.new Crypto.PublicKey.RSA.generate"
        " Cryptodome.Cipher.AES.new Crypto.Hash.MD5.new *.generate_private_key *.Cipher"
        " cryptography.hazmat.primitives.ciphers.Cipher hmac.new *.ECB *.CBC *.MD5 *.SHA1 crypt.crypt md5.New"
        " sha1.New *.createHash base64.b64encode",
        "scrypt pbkdf2_hmac PBKDF2HMAC bcrypt argon2 Fernet AESGCM usedforsecurity=False generate_password_hash"
        " compare_digest make_password MODE_GCM",
    ),
    _family(
        "weak hash", "uses a hash or cipher that is broken", "327 328 916",
        "hashlib.md5 hashlib.sha1 hashlib.md4 Crypto.Cipher.DES.new Crypto.Cipher.ARC4.new Crypto.Cipher.DES3.new"
        " Crypto.Cipher.Blowfish.new Crypto.Hash.MD5.new Crypto.Hash.SHA1.new *.MD5 *.SHA1 *.ECB *.ARC4 *.Blowfish"
        " *.IDEA md5.New sha1.New des.NewCipher rc4.NewCipher mode:ECB",
        "usedforsecurity=False",
    ),
    _family(
        "randomness", "draws numbers that can be guessed", "330 331 335 338 337 340",
        "random.random random.randint random.choice random.choices random.sample random.randrange random.getrandbits"
        " random.seed random.uniform random.shuffle uuid.uuid1 numpy.random.seed *.Math.random Math.random rand.Intn"
        " rand.Int",
        "secrets SystemRandom urandom token_urlsafe token_hex randbelow",
    ),
    _family(
        "certificates", "weakens TLS", "295 297 757 319",
        "ssl._create_unverified_context ssl.SSLContext ssl.wrap_socket verify=False ssl=False"
        " cert_reqs=CERT_NONE check_hostname=False verify_mode=CERT_NONE urllib3.disable_warnings *.AutoAddPolicy"
        " paramiko.AutoAddPolicy paramiko.WarningPolicy *.set_missing_host_key_policy verify_ssl=False"
        " InsecureSkipVerify=true _create_unverified_context",
        "create_default_context RejectPolicy load_system_host_keys",
    ),
    _family(
        "clear text", "talks without encryption", "319 523 311",
        "ftplib.FTP telnetlib.Telnet smtplib.SMTP imaplib.IMAP4 poplib.POP3 pysnmp.hlapi.CommunityData CommunityData"
        " xmlrpc.client.ServerProxy nntplib.NNTP *.CommunityData",
        "starttls SMTP_SSL FTP_TLS prot_p create_default_context localhost",
    ),
    _family(
        "temporary", "writes where everybody may", "377 378 379",
        "tempfile.mktemp os.tempnam os.tmpnam literal:/tmp mktemp",
        "NamedTemporaryFile mkstemp TemporaryDirectory mkdtemp",
    ),
    _family(
        "permissions", "sets rights", "732 276 250 269 271 266",
        "os.chmod os.umask os.chown os.setuid os.setgid os.fchmod os.lchmod *.chmod mode:777 mode:666"
        " acl:public os.Chmod os.OpenFile",
        "0o600 0o700 setgroups O_EXCL O_NOFOLLOW",
    ),
    _family(
        "listening", "waits for connections", "605 668 1327 306",
        "*.bind socketserver.TCPServer socketserver.ThreadingTCPServer http.server.HTTPServer"
        " http.server.ThreadingHTTPServer xmlrpc.server.SimpleXMLRPCServer *.serve_forever"
        " wsgiref.simple_server.make_server websockets.serve net.Listen http.ListenAndServe *.listen",
        "settimeout timeout MAX_BODY",
    ),
    _family(
        "open to all", "listens on every address", "605 668",
        "host=0.0.0.0 literal:0.0.0.0 literal:empty-host", "",
    ),
    _family(
        "debugging", "is built for debugging", "489 215 209 532 11",
        "debug=True DEBUG=True traceback.format_exc traceback.print_exc pdb.set_trace breakpoint code.interact"
        " use_debugger=True",
        "exception environ",
    ),
    _family(
        "cookie", "sets a cookie", "1004 614 1275 565 539",
        "*.set_cookie set_cookie *.set_signed_cookie http.Cookie",
        "secure=True httponly=True samesite samesite=Lax samesite=Strict",
    ),
    _family(
        "token", "makes or reads signed tokens", "347 345 613 287",
        "jwt.decode jwt.encode jose.jwt.decode *.get_unverified_claims verify_signature=False verify=False"
        " itsdangerous.TimedSerializer",
        "require algorithms exp compare_digest",
    ),
    _family(
        "attribute by name", "sets or reads what a name says", "915 470 502 1321",
        "setattr getattr globals locals vars __setattr__ *.__dict__ delattr dict-splat-request",
        "FIELDS ALLOWED Field model_dump",
    ),
    _family(
        "upload", "takes files of strangers", "434 400",
        "*.save request.files request.FILES fastapi.File File UploadFile *.copyfileobj shutil.copyfileobj",
        "secure_filename ALLOWED MAX_CONTENT_LENGTH uuid4 allowed_file content_length verify MAX_BYTES size",
    ),
    _family(
        "message", "sends mail", "93 113",
        "*.sendmail *.send_message django.core.mail.send_mail *.send_header email.mime.text.MIMEText",
        "EmailMessage set_content",
    ),
    _family(
        "pattern", "matches a pattern that is not fixed", "1333 400 625 185",
        "re.compile re.match re.search re.findall re.sub re.fullmatch re.finditer regex.compile regex:nested",
        "escape",
    ),
    _family(
        "log", "writes to a log or to the screen", "117 532 778 200",
        "logging.info logging.debug logging.warning logging.error logging.exception *.info *.debug *.warning"
        " *.error *.exception *.critical print",
        "masked repr",
    ),
    _family(
        "record", "changes stored records", "862 639 285 306 20",
        "*.commit *.save *.delete *.create *.update *.insert_one *.add *.put *.remove",
        "current_user login_required permission_required owner atomic is_valid is_authenticated",
    ),
    _family(
        "lookup", "finds a record by its number", "639 862 566",
        "*.get_or_404 *.get *.first_or_404 django.shortcuts.get_object_or_404 get_object_or_404 *.filter_by *.first"
        " generate_presigned_url *.generate_presigned_url",
        "current_user request.user owner user_id login_required",
    ),
    _family(
        "limits", "takes as much as comes", "400 770 789 835 674 409",
        "*.recv *.read *.readlines *.get_data *.accept *.receive_text *.getvalue int float range",
        "MAX_CONTENT_LENGTH limit min max len maxlen timeout settimeout Field Query LIMIT MAX_BYTES",
    ),
    _family(
        "race", "checks first and acts later", "367 362 363",
        "os.path.exists os.access os.path.isfile os.path.islink threading.Thread os.stat",
        "Lock RLock select_for_update atomic O_EXCL FileExistsError",
    ),
    _family("credentials", "", "256 259 261 287 290 307 312 313 521 522 549 598 640 798", ""),
    _family("mistake", "", "129 193 252 369 390 476 617 772 843 1188", ""),
    _family(
        "import", "imports what is often misused", "502 78 611 319",
        "import:pickle import:cPickle import:subprocess import:telnetlib import:ftplib import:dill import:shelve"
        " import:xml import:marshal import:ldap import:jwt import:paramiko import:pexpect import:pyghmi import:lxml"
        " import:Crypto import:httpoxy import:xmlrpc import:wsgiref import:twisted",
        "defusedxml",
    ),
)  # fmt: skip


@cache
def by_call() -> dict[str, tuple[Family, ...]]:
    """The families of each name of a call."""
    found: dict[str, tuple[Family, ...]] = {}
    for family in FAMILIES:
        for call in family.calls:
            found[call] = (*found.get(call, ()), family)
    return found


def family_of_cwe(cwe: int | None) -> str:
    """The name of the first family with this number; "other" for none."""
    return next((family.name for family in FAMILIES if cwe in family.cwe), "other")
