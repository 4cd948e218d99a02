"""Signing against published vectors, against hashlib and cryptography, and the care taken of the secret."""
import base64
import copy
import gc
import hashlib
import hmac
import json
import pickle

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.secret import Secret
from orderflow._core.signing import Signer
from orderflow.exchanges.kraken import signature

# The key pair that Binance prints in its API documentation (binance-spot-api-docs, rest-api.md and web-socket-api.md).
API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
PKCS8 = "MC4CAQAwBQYDK2VwBCIEIIJEYWtGBrhACmb9Dvy+qa8WEf0lQOl1s4CLIAB9m89u"  # ... and for FIX (fix-api.md)

REST = "side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
BINANCE = {
    "REST": (
        f"symbol=LTCBTC&{REST}",
        "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71",
    ),
    "REST, percent-encoded symbol": (
        f"symbol=%EF%BC%91%EF%BC%92%EF%BC%93%EF%BC%94%EF%BC%95%EF%BC%96&{REST}",
        "e1353ec6b14d888f1164ae9af8228a3dbd508bc82eb867db8ab6046442f33ef3",
    ),
    "WebSocket": (
        f"apiKey={API_KEY}&price=52000.00&quantity=0.01000000&recvWindow=100&side=SELL&symbol=BTCUSDT"
        "&timeInForce=GTC&timestamp=1645423376532&type=LIMIT",
        "aa1b5712c094bc4e57c05a1a5c1fd8d88dcd628338ea863fec7b88e59fe2db24",
    ),
    "WebSocket, UTF-8 symbol": (
        f"apiKey={API_KEY}&price=0.10000000&quantity=1.00000000&recvWindow=5000&side=BUY"
        "&symbol=\uff11\uff12\uff13\uff14\uff15\uff16&timeInForce=GTC&timestamp=1645423376532&type=LIMIT",
        "b33892ae8e687c939f4468c6268ddd4c40ac1af18ad19a064864c47bae0752cd",
    ),
    "order.place": (
        f"apiKey={API_KEY}&price=23416.10000000&quantity=0.00847000&side=SELL&symbol=BTCUSDT"
        "&timeInForce=GTC&timestamp=1660801715431&type=LIMIT",
        "15af09e41c36f3cc61378c2fbe2c33719a03dd5eba8d0f9206fbda44de717c88",
    ),
    "shortest": ("timestamp=1578963600000", "d84e6641b1e328e7b418fff030caed655c266299c9355e36ce801ed14631eed4"),
}

# Kraken, "Spot REST", "Authentication": the example of API-Sign.
KRAKEN_SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
KRAKEN_BODY = "nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
KRAKEN_SIGN = "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="

# Hexadecimal HMAC-SHA256 of other exchanges: secret, message, signature, and who published it.
HEXADECIMAL = {
    "Binance USD-M, derivatives documentation": (
        "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9",
        "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC&recvWindow=5000"
        "&timestamp=1591702613943",
        "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9",
    ),
    "Deribit, client_signature": (
        "AMANDASECRECT", "1576074319000\n1iqt2wls\n",
        "56590594f97921b09b18f166befe0d1319b198bbcdad7ca73382de2f88fe9aa1",
    ),
    "Bybit, GET (tests of nautilus_trader)": (
        "test_secret", "1700000000000test_api_key5000category=linear&symbol=BTCUSDT",
        "fd4f31228a46109dc6673062328693696df9a96c7ff04e6491a45e7f63a0fdd7",
    ),
    "Bybit, POST (tests of nautilus_trader)": (
        "test_secret",
        '1700000000000test_api_key5000{"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "test-order-1"}',
        "2df4a0603d69c08d5dea29ba85b46eb7db64ce9e9ebd34a7802a3d69700cb2a1",
    ),
    "Bybit, websocket (tests of nautilus_trader)": (
        "test_secret", "GET/realtime1700000000000",
        "bacffe7500499eb829bb58c45d36d1b3e5ac67c14eaeba91df5e99ccee013925",
    ),
    "Bitstamp, POST (computed independently)": (
        "SECRET456",
        "BITSTAMP KEY123POSTwww.bitstamp.net/api/v2/user_transactions/application/x-www-form-urlencoded"
        "f93c979d-b00d-43a9-9b9c-fd4cd9547fa61567755304968v2offset=1",
        "d709f34f1bde524d6149c660fc73d5768f61c1f6219a94ca74d0399e6bba451f",
    ),
    "Bitstamp, without body (computed independently)": (
        "SECRET456",
        "BITSTAMP KEY123POSTwww.bitstamp.net/api/v2/websockets_token/"
        "f93c979d-b00d-43a9-9b9c-fd4cd9547fa61567755304968v2",
        "750da0115658b1600ac33bfe4986ea511077a4d4ef63400fc2dfd03f127acac3",
    ),
}

# Base 64 of HMAC-SHA256, OKX ("REST authentication"); the first from the tests of nautilus_trader.
OKX = [
    ("chNOOS4KvNXR_Xq4k4c9qsfoKWvnDecLATCRlcBwyKDYnWgO", "2020-12-08T09:08:57.715ZGET/api/v5/account/balance",
     "PJ61e1nb2F2Qd7D8SPiaIcx2gjdELc+o0ygzre9z33k="),
    ("22582BD0CFF14C41EDBF1AB98506286D", "2020-12-08T09:08:57.715ZGET/api/v5/account/balance?ccy=BTC",
     "HiZhvSfMtWJA3uUIVXV3a/bSXNPCWvYFXoGCVS8V4zY="),
    ("22582BD0CFF14C41EDBF1AB98506286D", "1538054050GET/users/self/verify",
     "+LdIr8lkkvhr5hoA3g9TMC0+uQJ849ftAcocA/ouu4M="),
]

# Hexadecimal HMAC-SHA384: message, signature with the secret "SECRET". Neither publishes one; computed independently.
SHA384 = {
    "Bitfinex, websocket": (
        "AUTH1700000000000000",
        "ffba5517aaabd1619334911a7b5f69458928d0601d609a8c5a2f7957c8816e08532274dd207da1206a3de9c07b10e304",
    ),
    "Bitfinex, REST": (
        "/api/v2/auth/r/orders1700000000000000{}",
        "93b21608307831bc0429fbd022a9906b3c30df8112f799211396856aed976862ac676da1dc2ecc0c3c40aec16e08649a",
    ),
    "Gemini, REST": (
        "eyJyZXF1ZXN0IjoiL3YxL29yZGVyL2V2ZW50cyIsIm5vbmNlIjoxNzAwMDAwMDAwMDAwfQ==",
        "cff681dffcf543106d1dad03b7327a5bbd0471a5880d4458b4f4f44824166812ffb1c25cbe686ad25bce713a647180a7",
    ),
    "Gemini, websocket": (
        "MTcwMDAwMDAwMA==",
        "ee04a8604de22e699ea40514ca0a596daa4ab18f2634ca82417f8782b61ec44104af3a636b008a6363d51321bdf70f77",
    ),
}

# Coinbase Advanced Trade with the test key of Coinbase's SDK: EdDSA of a JSON Web Token (RFC 8037).
COINBASE_KEY = "MC4CAQAwBQYDK2VwBCIEIJNAVJ4tKdL2RtQXaVY0uqIASe5MZut9ACdnTfrbqbrQ"
COINBASE_TOKEN = (
    {"alg": "EdDSA", "kid": "organizations/o/apiKeys/k", "nonce": "00" * 16, "typ": "JWT"},
    {"sub": "organizations/o/apiKeys/k", "iss": "cdp", "nbf": 1700000000, "exp": 1700000120,
     "uri": "GET api.coinbase.com/api/v3/brokerage/accounts"},
)
COINBASE_SIGNATURE = "mLpUXYl7aINf4KOxj0aguknxcoKB-zRgIZHSJ3Ik6uxquBZWknPxOAPbY-AA5Bm0Ihyhe6OFBNVLper2TgLOBA"

# RFC 4231, section 4, cases 1 to 4, 6 and 7 (5 is a truncated one): key, data, HMAC-SHA-256
RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
        b"hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]

# RFC 8032, section 7.1, tests 1 to 3: private key, message, signature
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
        "4a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize("name", BINANCE)
def test_binance_vectors(name):
    payload, signature = BINANCE[name]
    assert Signer.hmac_sha256(SECRET).sign(payload) == signature


def test_binance_fix_logon_vector():
    logon = b"\x01".join([b"A", b"EXAMPLE", b"SPOT", b"1", b"20240627-11:17:25.223"])
    expected = "4MHXelVVcpkdwuLbl6n73HQUXUf1dse2PCgT1DYqW9w8AVZ1RACFGM+5UdlGPrQHrgtS3CvsRURC1oj73j8gCA=="
    pem = f"-----BEGIN PRIVATE KEY-----\n{PKCS8}\n-----END PRIVATE KEY-----\n"
    for key in (PKCS8, pem, pem.encode(), base64.b64decode(PKCS8), base64.b64decode(PKCS8)[16:]):
        assert Signer.ed25519(key).sign(logon) == expected


@pytest.mark.parametrize("name", HEXADECIMAL)
def test_hexadecimal_vectors_of_other_exchanges(name):
    secret, message, expected = HEXADECIMAL[name]
    assert Signer.hmac_sha256(secret).sign(message) == expected
    assert Secret(secret).hmac("sha256", message.encode()).hex() == expected


@pytest.mark.parametrize(("secret", "message", "expected"), OKX)
def test_okx_vectors(secret, message, expected):
    assert base64.b64encode(Secret(secret).hmac("sha256", message.encode())).decode() == expected


@pytest.mark.parametrize("name", SHA384)
def test_sha_384_vectors(name):
    message, expected = SHA384[name]
    assert Secret("SECRET").hmac("sha384", message.encode()).hex() == expected


def test_kraken_vector():
    secret = Secret(KRAKEN_SECRET).decoded()
    assert signature(secret, "/0/private/AddOrder", "1616492376594", KRAKEN_BODY) == KRAKEN_SIGN


def test_coinbase_token_vector():
    signed = ".".join(base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).decode().rstrip("=")
                      for part in COINBASE_TOKEN)
    found = Signer.ed25519(COINBASE_KEY).sign(signed)
    assert found.rstrip("=").translate(str.maketrans("+/", "-_")) == COINBASE_SIGNATURE


def test_the_kind_of_key_is_seen():
    pem = f"-----BEGIN PRIVATE KEY-----\n{PKCS8}\n-----END PRIVATE KEY-----\n"
    for key, algorithm in ((SECRET, "hmac-sha256"), (PKCS8, "ed25519"), (pem, "ed25519"), ("-----", "hmac-sha256")):
        assert Signer.of(Secret(key)).algorithm == Signer.of(key).algorithm == algorithm
    with pytest.raises(ValueError, match="not an Ed25519 private key"):
        Signer.of("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n")


@pytest.mark.parametrize(("key", "data", "expected"), RFC_4231)
def test_rfc_4231(key, data, expected):
    assert Signer.hmac_sha256(key).sign(data) == expected


@pytest.mark.parametrize(("key", "message", "expected"), RFC_8032)
def test_rfc_8032(key, message, expected):
    signer = Signer.ed25519(bytes.fromhex(key))
    for _ in range(3):  # the prepared context signs again and again
        assert base64.b64decode(signer.sign(bytes.fromhex(message))).hex() == expected


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=300), st.binary(max_size=300))
def test_hmac_agrees_with_hashlib(secret, prefix, rest):
    expected = hmac.new(secret, prefix + rest, hashlib.sha256).hexdigest()
    signer = Signer.hmac_sha256(secret)
    assert signer.sign(prefix + rest) == expected
    assert signer.prepare(prefix).sign(prefix + rest) == expected
    assert signer.prepare(prefix).prepare(rest).sign(prefix + rest) == expected
    assert signer.sign(prefix + rest) == expected  # preparing another left this one alone


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.binary(max_size=300))
def test_ed25519_agrees_with_cryptography(seed, prefix, rest):
    expected = base64.b64encode(ed25519.Ed25519PrivateKey.from_private_bytes(seed).sign(prefix + rest)).decode()
    signer = Signer.ed25519(seed)
    prepared = signer.prepare(prefix)
    del signer
    assert prepared.sign(prefix + rest) == expected
    assert prepared.sign(prefix + rest) == expected


def test_a_message_shorter_than_its_prefix_is_refused():
    with pytest.raises(ValueError, match="prefix"):
        Signer.hmac_sha256("secret").prepare(b"apiKey=1").sign(b"apiKey")


@pytest.mark.parametrize("make", [lambda: Signer.hmac_sha256(SECRET), lambda: Signer.ed25519(PKCS8)])
def test_the_secret_stays_inside(make):
    signer = make()
    shown = repr(signer) + str(signer) + repr([signer]) + repr(signer.prepare(b"apiKey"))
    shown += " ".join(repr(getattr(signer, name)) for name in dir(signer))
    assert SECRET not in shown and PKCS8[30:] not in shown and SECRET.encode().hex() not in shown
    assert signer.fingerprint in repr(signer) and signer.algorithm in repr(signer)
    for copier in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="secret"):
            copier(signer)
    with pytest.raises(TypeError, match="hmac_sha256"):
        Signer()


def _private_pages_containing(needle):
    """How many anonymous mappings of this process contain the bytes."""
    found = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps:
            span, permissions, *rest = line.split()
            if permissions.startswith("rw") and len(rest) < 4:
                first, last = (int(address, 16) for address in span.split("-"))
                if last - first <= 16384:
                    memory.seek(first)
                    found += needle in memory.read(last - first)
    return found


def test_the_key_is_overwritten_when_the_signer_goes():
    # The inner state after one block is what could sign in our name; it must be in the signer's pages, then nowhere.
    signer = Signer.hmac_sha256(b"k" * 64)
    state = _sha256_state_after(bytes(byte ^ 0x36 for byte in b"k" * 64))
    assert _private_pages_containing(state) == 1
    del signer
    gc.collect()
    assert _private_pages_containing(state) == 0


def _sha256_state_after(block):
    """SHA-256 compression of one block (FIPS 180-4), as the eight native words that libcrypto keeps."""
    primes = [n for n in range(2, 312) if all(n % d for d in range(2, int(n**0.5) + 1))]
    constants = [int((p ** (1 / 3) % 1) * 2**32) for p in primes[:64]]
    state = [int((p**0.5 % 1) * 2**32) for p in primes[:8]]

    def rotate(x, n):
        return (x >> n | x << (32 - n)) & 0xFFFFFFFF

    words = [int.from_bytes(block[i : i + 4], "big") for i in range(0, 64, 4)]
    for i in range(16, 64):
        s0 = rotate(words[i - 15], 7) ^ rotate(words[i - 15], 18) ^ words[i - 15] >> 3
        s1 = rotate(words[i - 2], 17) ^ rotate(words[i - 2], 19) ^ words[i - 2] >> 10
        words.append((words[i - 16] + s0 + words[i - 7] + s1) & 0xFFFFFFFF)
    a, b, c, d, e, f, g, h = state
    for constant, word in zip(constants, words, strict=True):
        t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + constant + word
        t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
        a, b, c, d, e, f, g, h = (t1 + t2) & 0xFFFFFFFF, a, b, c, (d + t1) & 0xFFFFFFFF, e, f, g
    mixed = [(x + y) & 0xFFFFFFFF for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True)]
    return b"".join(word.to_bytes(4, "little") for word in mixed)


def test_wrong_keys_say_what_was_expected():
    other_curve = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    encrypted = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    with pytest.raises(ValueError, match="empty"):
        Signer.hmac_sha256("")
    with pytest.raises(ValueError, match="encrypted"):
        Signer.ed25519(encrypted)
    with pytest.raises(ValueError, match="Ed25519"):
        Signer.ed25519(other_curve)
    for nonsense in ("", "hello world!", "AAAA", b"\x30\x03abc"):
        with pytest.raises(ValueError, match="32 raw bytes"):
            Signer.ed25519(nonsense)
