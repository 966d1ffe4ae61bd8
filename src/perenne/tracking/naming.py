"""Names for runs that nobody named: an adjective, a noun and a number, such as ``calm-otter-407``."""

import random

_random = random.SystemRandom()
"""Nothing that seeds the random numbers of a program makes names come again."""

_ADJECTIVES = (
    "able agile amber ample apt bold brave bright brisk calm candid clean clear clever cosy crisp curious deft eager early easy "
    "fair fine firm fleet fond frank free fresh gentle glad golden grand handy happy hardy honest jolly just keen kind light "
    "lively loyal lucid lucky merry mild modest neat nimble noble placid polite prime proud quick quiet rapid ready robust rosy "
    "serene sharp silent silver simple sleek smart smooth snug sober solid sound spry steady stout sunny sure sweet swift tidy "
    "tranquil trim true upbeat valid vivid warm wise witty zesty"
)
_NOUNS = (
    "ant auk badger bass bat bear beaver bee bison boar bug carp cat chimp cod colt conch cow crab crane croc crow cub deer doe "
    "dog dolphin donkey dove duck eagle eel elk falcon fawn finch fish flea fly foal fowl fox frog gnat gnu goat goose grouse "
    "grub gull hare hawk hen heron hog horse hound ibex jay kit kite koi lamb lark lion lizard loon lynx mare mink mole moose "
    "moth mouse mule newt otter owl ox panda perch pig plover pony puma quail ram rat raven robin rook seal shad sheep shoat "
    "shrew shrike shrimp skunk sloth slug smelt snail snake sow sponge squid squirrel stag steed stoat stork swan tern toad "
    "trout turtle vole wasp whale wolf worm wren yak zebra"
)


def generated_name() -> str:
    """Draw a name.

    >>> adjective, noun, number = generated_name().split("-")
    >>> 0 <= int(number) < 1000
    True
    """
    return f"{_random.choice(_ADJECTIVES.split())}-{_random.choice(_NOUNS.split())}-{_random.randrange(1000)}"
