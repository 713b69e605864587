"""What is known of Python's libraries: where strangers write, what makes it harmless, what hands it on.

Names are dotted, as imported; "()" stands for what a call gives, "*." for any object. Kinds are those of the rules.
"""

from __future__ import annotations

import re

from leanvibe_lsp.tiers.flow.values import ALL


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_EVERYTHING = frozenset({ALL})

# What a request object of the common frameworks holds that its sender writes.
REQUEST_PARTS = _words(
    "args form values json cookies headers files data view_args query_string full_path path url stream GET POST",
    "COOKIES META FILES body query query_params path_params match_info rel_url params forms uri arguments",
    "body_arguments query_arguments raw_post_data content get_json get_data getlist get_full_path text post read",
    "json_body get_raw_uri build_absolute_uri url_params stream_data GET_params referrer user_agent",
)

# Calls and attributes that give what a stranger wrote; the group says who.
ORIGINS = {
    "input()": "input",
    "raw_input()": "input",
    "sys.stdin": "input",
    "fileinput.input()": "input",
    "click.prompt()": "input",
    "typer.prompt()": "input",
    "sys.argv": "argv",
    "*.parse_args()": "argv",
    "*.parse_known_args()": "argv",
    "os.environ": "environment",
    "os.environb": "environment",
    "os.getenv()": "environment",
    "*.recv()": "network",
    "*.recvfrom()": "network",
    "*.receive_text()": "network",
    "*.receive_json()": "network",
    "*.receive_bytes()": "network",
    "*.get_argument()": "request",
    "*.get_arguments()": "request",
    "*.get_query_argument()": "request",
    "*.get_body_argument()": "request",
    "*.get_secure_cookie()": "request",
    "cgi.FieldStorage()": "request",
    "self.rfile": "request",
    "self.headers": "request",
    "self.path": "request",
    "zipfile.ZipFile().namelist()": "archive",
    "zipfile.ZipFile().infolist()": "archive",
    "tarfile.open().getmembers()": "archive",
    "tarfile.open().getnames()": "archive",
    "tarfile.open().next()": "archive",
    "*.chat.completions.create()": "model",
    "*.ChatCompletion.create()": "model",
    "*.messages.create()": "model",
    "*.responses.create()": "model",
    "*.generate_content()": "model",
}

# Only in a class that answers requests itself; elsewhere `self.path` is anything.
HANDLER_PARTS = frozenset({"self.rfile", "self.headers", "self.path"})
HANDLER_MODULES = frozenset({"http", "BaseHTTPServer", "tornado"})

_TEXT_SAFE = _words(
    "html header log sql ldap xpath redirect url",
)
_HTML = frozenset({"html", "template"})
_FILE_NAME = frozenset({"path", "header", "log", "html", "redirect", "url"})

# Calls whose result can do no harm by some kinds, or by none at all.
CLEANERS = {
    **dict.fromkeys(
        _words(
            "int float bool complex len hash id ord isinstance issubclass type hasattr callable abs round sum range",
            "uuid.UUID decimal.Decimal fractions.Fraction",
            "ipaddress.ip_address ipaddress.ip_network ipaddress.IPv4Address",
            "ipaddress.IPv6Address ipaddress.ip_interface datetime.datetime.strptime datetime.date.fromisoformat",
            "datetime.datetime.fromisoformat dateutil.parser.parse time.strptime crypt.crypt bcrypt.hashpw",
            "werkzeug.security.generate_password_hash werkzeug.security.check_password_hash",
            "django.contrib.auth.hashers.make_password flask.url_for django.urls.reverse django.shortcuts.resolve_url",
            "flask.render_template flask.render_template_string django.shortcuts.render flask.jsonify flask.redirect",
            "django.shortcuts.redirect django.http.JsonResponse fastapi.responses.JSONResponse flask.send_file",
            "flask.send_from_directory starlette.responses.JSONResponse aiohttp.web.json_response sanic.response.json",
            "secrets.compare_digest hmac.compare_digest hmac.new",
            "binascii.crc32 zlib.crc32 zlib.adler32 os.path.getsize",
            "os.path.exists os.path.isfile os.path.isdir os.path.getmtime django.shortcuts.get_object_or_404",
            "*.TemplateResponse *.hexdigest *.digest *.total_seconds *.timestamp *.toordinal",
            "*.fetchone *.fetchall *.fetchmany *.scalar *.first *.one_or_none *.filter_by *.filter *.get_or_404",
            "*.first_or_404 *.find_one *.count *.count_documents *.exists *.getsize *.bit_length *.isoformat",
            "argparse.ArgumentParser",
        ),
        _EVERYTHING,
    ),
    "shlex.quote": frozenset({"command"}),
    "pipes.quote": frozenset({"command"}),
    "subprocess.list2cmdline": frozenset(),
    **dict.fromkeys(
        _words(
            "html.escape cgi.escape markupsafe.escape flask.escape jinja2.escape bleach.clean nh3.clean",
            "django.utils.html.escape django.utils.html.conditional_escape django.utils.html.strip_tags",
            "django.utils.html.format_html werkzeug.utils.escape",
            "tornado.escape.xhtml_escape lxml.html.clean.clean_html",
            "*.xhtml_escape",
        ),
        _HTML,
    ),
    "xml.sax.saxutils.escape": frozenset({"html", "xml"}),
    "xml.sax.saxutils.quoteattr": frozenset({"html", "xml", "xpath"}),
    **dict.fromkeys(_words("io.BytesIO io.StringIO io.TextIOWrapper io.BufferedReader"), frozenset({"path"})),
    "werkzeug.utils.secure_filename": _FILE_NAME,
    "werkzeug.secure_filename": _FILE_NAME,
    "werkzeug.utils.safe_join": frozenset({"path"}),
    "werkzeug.security.safe_join": frozenset({"path"}),
    "flask.safe_join": frozenset({"path"}),
    "os.path.basename": frozenset({"path"}),
    "ntpath.basename": frozenset({"path"}),
    "django.utils._os.safe_join": frozenset({"path"}),
    "django.utils.text.get_valid_filename": _FILE_NAME,
    "django.utils.text.slugify": _EVERYTHING,
    "slugify.slugify": _EVERYTHING,
    "os.path.realpath": frozenset({"unresolved"}),
    "os.path.abspath": frozenset({"unresolved"}),
    "os.path.normpath": frozenset({"unresolved"}),
    "*.resolve": frozenset({"unresolved"}),
    "*.absolute": frozenset(),
    **dict.fromkeys(
        _words(
            "urllib.parse.quote urllib.parse.quote_plus urllib.parse.urlencode django.utils.http.urlquote",
            "werkzeug.urls.url_quote requests.utils.quote tornado.escape.url_escape",
        ),
        _TEXT_SAFE | {"template"},
    ),
    "re.escape": frozenset({"regex"}),
    "ldap.filter.escape_filter_chars": frozenset({"ldap"}),
    "ldap.filter.filter_format": frozenset({"ldap"}),
    "ldap3.utils.conv.escape_filter_chars": frozenset({"ldap"}),
    "ldap3.utils.conv.escape_bytes": frozenset({"ldap"}),
    "ldap.dn.escape_dn_chars": frozenset({"ldap"}),
    "psycopg2.sql.Identifier": frozenset({"sql"}),
    "psycopg2.sql.Literal": frozenset({"sql"}),
    "psycopg.sql.Identifier": frozenset({"sql"}),
    "psycopg.sql.Literal": frozenset({"sql"}),
    "*.mogrify": frozenset({"sql"}),
    "*.escape_string": frozenset({"sql"}),
    "*.quote_name": frozenset({"sql"}),
    "*.quote_ident": frozenset({"sql"}),
    "*.literal": frozenset({"sql"}),
    "repr": frozenset({"log", "header"}),
    "ascii": frozenset({"log", "header"}),
    "json.dumps": frozenset({"log", "header"}),
    "dict.keys": frozenset(),
}

# Whole modules whose results say nothing of what went in, or are nobody's text.
CLEAN_MODULES = ("hashlib.", "hmac.", "secrets.", "random.", "time.", "math.", "statistics.", "bcrypt.", "passlib.")

# Methods that ask of a text what it is: the answer is none of its text.
PREDICATES = _words(
    "startswith endswith isdigit isalpha isalnum isnumeric isdecimal isidentifier islower isupper isspace istitle",
    "isascii isprintable find rfind index rindex count match fullmatch search is_relative_to is_absolute exists",
    "is_file is_dir is_valid has_key issubset issuperset isdisjoint __contains__",
)
# Those of them after which nothing but letters, digits and underscores can be in it.
NARROW = _words(
    "isdigit isalpha isalnum isnumeric isdecimal isidentifier",
)

# Objects that are another thing when one argument says so: the argument, what it must be, and the name they then go by.
TOLD_OFF = {
    "lxml.etree.XMLParser": ("resolve_entities", False, "lxml.etree.XMLParser.without_entities()"),
}

# Parts of a request that are files: what is in them is no path, what they are called is.
FILES = _words("files FILES")
FILE_NAMES = _words("filename name raw_filename")
FILE_CONTENTS = _words("file stream body_file")

# Methods of text, bytes and containers that hand on what is in them.
METHODS = _words(
    "lower upper strip lstrip rstrip title capitalize casefold swapcase encode decode replace split rsplit",
    "splitlines partition rpartition join format format_map expandtabs ljust rjust center zfill translate",
    "removeprefix removesuffix get getlist getall getone copy items values keys to_dict read readline readlines",
    "group groups groupdict hex tobytes getvalue __getitem__ as_posix joinpath with_suffix with_name expanduser",
    "resolve absolute dict model_dump json getfirst pop setdefault append add extend insert update first",
    "decode_json lower_case hexlify __str__ to_python geturl _replace save text form post recv",
)
# Functions that do.
HANDS_ON = _words(
    "str bytes bytearray list tuple set frozenset dict sorted reversed map filter zip enumerate next iter min max",
    "print repr ascii format vars getattr memoryview os.path.join os.path.normpath os.path.abspath",
    "os.path.realpath os.path.expanduser os.path.expandvars os.path.split os.path.splitext os.path.dirname",
    "os.path.basename os.fspath os.fsdecode os.fsencode pathlib.Path pathlib.PurePath pathlib.PosixPath",
    "base64.b64decode base64.b64encode base64.urlsafe_b64decode base64.urlsafe_b64encode base64.decodebytes",
    "base64.standard_b64decode base64.b32decode base64.b16decode binascii.unhexlify binascii.a2b_base64",
    "binascii.hexlify urllib.parse.unquote urllib.parse.unquote_plus urllib.parse.urlparse urllib.parse.urlsplit",
    "urllib.parse.parse_qs urllib.parse.parse_qsl urllib.parse.urljoin urllib.parse.urlunparse",
    "urllib.parse.urldefrag codecs.decode codecs.encode json.loads json.load json.dumps html.unescape copy.copy",
    "copy.deepcopy textwrap.dedent textwrap.indent textwrap.fill string.Template io.StringIO io.BytesIO",
    "shlex.split shlex.join itertools.chain collections.OrderedDict collections.defaultdict collections.deque",
    "operator.itemgetter typing.cast zlib.decompress gzip.decompress re.sub re.split re.findall re.match",
    "re.search re.fullmatch re.compile markupsafe.Markup flask.Markup jinja2.Markup",
    "django.utils.safestring.mark_safe sqlalchemy.text sqlalchemy.sql.text ast.literal_eval unicodedata.normalize",
    "asyncio.wait_for asyncio.gather asyncio.to_thread pathlib.Path.joinpath compile urllib.request.Request",
    "cgi.parse_qs io.TextIOWrapper zipfile.ZipFile tarfile.open",
)

# What never comes back.
NO_RETURN = _words(
    "flask.abort django.http.Http404 werkzeug.exceptions.abort bottle.abort aiohttp.web.abort sys.exit os._exit",
    "os.abort exit quit abort *.skipTest *.fail *.abort",
)

# A function nobody here can see is taken at its word.
SAYS_CLEAN = re.compile(
    r"sanit|escap|(^|_)clean|(^|_)valid|purify|strip_tags|whitelist|allowlist|(^|_)safe_|_safe$|slugify"
)
SAYS_SAFE = re.compile(
    r"(^|_)(is_)?(valid|safe|allowed|permitted|trusted|whitelisted|legal|authorized|known)|^validate|url_has_allowed"
)
SAYS_BAD = re.compile(r"invalid|malicious|unsafe|dangerous|forbidden|blocked|suspicious|(^|_)has_bad|not_allowed")
CHECKS = re.compile(r"^(validate|ensure|require|verify|check|assert)_|_(or_raise|or_abort|or_404)$")

# Annotations that leave no text to do harm with.
NARROW_TYPES = re.compile(
    r"(Optional\[)?(int|float|bool|complex|UUID|uuid\.UUID|UUID4|date|datetime|datetime\.\w+|Decimal|Literal\[.*|"
    r"conint\(.*|PositiveInt|NonNegativeInt|IPvAnyAddress|HttpUrl|\w*Enum)(\])?( ?\| ?None)?"
)
# Those that an application hands in, not a stranger.
HANDED_IN = re.compile(
    r"Depends|Session|Request\b|Response\b|BackgroundTasks|WebSocket|HttpRequest|Logger|Connection|Cursor|Callable|"
    r"Context|Engine|Client\b|Settings|Config"
)

ROUTES = _words(
    "route get post put delete patch head options api_route websocket websocket_route view",
)
ROUTE_MODULES = _words(
    "flask fastapi starlette bottle sanic quart aiohttp litestar falcon django flask_restful flask_restx",
    "responder blacksheep robyn microdot cherrypy pyramid",
)
ROUTE_CONVERTER = re.compile(r"[<{](?:(?P<type>\w+)(?:\([^)]*\))?:)?(?P<name>\w+)(?::(?P<after>\w+))?[>}]")
NARROW_CONVERTERS = _words(
    "int float uuid",
)
# What a part of a path that holds no slash cannot do.
ONE_SEGMENT = frozenset({"path", "redirect", "url"})
