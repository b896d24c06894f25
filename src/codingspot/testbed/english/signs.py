# ruff: noqa: E501 (a sentence is kept on one line, as it is read)
"""Texts about numbers, words and signs: board lessons, typing lessons, dictionaries, chats, catalogues."""

import random

from codingspot.testbed.english.words import (
    DAYS,
    FRUITS,
    NAMES,
    NUMBER_WORDS,
    PLACES,
    THINGS,
    join_and,
    two_people,
)

# word: (part of speech, meaning, use)
_DICTIONARY = {
    "return": ("verb", "to come back or give back", "Please return the book"),
    "for": ("prep.", "with the aim of", "a cup for tea"),
    "if": ("conj.", "in case that", "if it rains"),
    "else": ("adv.", "other", "someone else"),
    "while": ("conj.", "as long as", "while we wait"),
    "do": ("verb", "to act", "do the work"),
    "done": ("adj.", "at an end", "the work is done"),
    "let": ("verb", "to allow", "let me in"),
    "new": ("adj.", "not old", "a new class"),
    "class": ("noun", "a group of pupils or things", "the first class"),
    "print": ("verb", "to put words on paper", "print the list"),
    "filter": ("noun", "a thing that lets only some parts through", "a coffee filter"),
    "map": ("noun", "a picture of the land", "map of the town"),
    "function": ("noun", "what a thing is for", "the function of a key"),
    "public": ("adj.", "open to all", "the public library"),
    "private": ("adj.", "not public", "private path: no entry"),
    "static": ("adj.", "not moving; also: noise on the radio", "static on the line"),
    "local": ("adj.", "of this place", "the local market"),
    "string": ("noun", "a thin line; the line of a violin", "a string of pearls"),
    "char": ("verb", "to burn black", "char the wood"),
    "list": ("noun", "names one after another", "make a list"),
    "array": ("noun", "things in a row", "an array of stones"),
    "vector": ("noun", "an arrow with a length", "the vector of the wind"),
    "void": ("adj.", "empty, of no use", "the ticket is void"),
    "null": ("adj.", "of the value zero", "the result is null"),
    "const": ("abbr.", "short for constant", "const. speed"),
    "var": ("abbr.", "short for variety; also for variable", "apple var. red"),
    "int": ("abbr.", "short for integer, or interior", "int. number"),
    "def": ("abbr.", "short for definition", "see def. 3"),
    "func": ("abbr.", "short for function", "see func. 2"),
    "fn": ("abbr.", "short for footnote", "see fn. 4"),
    "vec": ("abbr.", "short for vector", "see vec. 1"),
    "len": ("abbr.", "short for length", "len. 12 m"),
    "str": ("abbr.", "short for street, or string", "River Str. 5"),
    "num": ("abbr.", "short for number", "num. 7"),
    "args": ("abbr.", "short for arguments: reasons given", "args. for and against"),
    "std": ("abbr.", "short for standard", "std. size"),
    "acc": ("abbr.", "short for account", "acc. number 12"),
    "auto": ("noun", "a car", "the auto is new"),
    "echo": ("noun", "a sound that comes back", "the echo of a word"),
    "range": ("noun", "a row of hills; from the least to the most", "the range of prices"),
    "collect": ("verb", "to bring together", "collect stones"),
    "iterate": ("verb", "to do again", "iterate the step"),
    "lambda": ("noun", "the letter L of the Greeks", "alpha, beta, lambda"),
    "reduce": ("verb", "to make less", "reduce the price"),
    "fold": ("verb", "to lay one part over the other", "fold the paper"),
    "slice": ("noun", "a thin piece", "a slice of bread"),
    "index": ("noun", "the list at the end of a book", "look in the index"),
    "append": ("verb", "to add at the end", "append a note"),
    "push": ("verb", "to move away from you", "push the door"),
    "pop": ("noun", "a short sound", "with a loud pop"),
    "shift": ("noun", "the key for upper letters", "press shift"),
    "join": ("verb", "to put together", "join hands"),
    "split": ("verb", "to break into parts", "split the wood"),
    "reverse": ("verb", "to turn around", "reverse the order"),
    "sort": ("noun", "a type", "all sorts of fruit"),
    "unique": ("adj.", "the only one", "a unique stone"),
    "distinct": ("adj.", "not the same", "two distinct words"),
    "type": ("noun", "a kind", "a new type of lamp"),
    "object": ("noun", "a thing", "an object of glass"),
    "import": ("verb", "to bring into a country", "import tea"),
    "include": ("verb", "to have as a part", "include the tax"),
    "package": ("noun", "a thing in paper that is sent", "a package for you"),
    "using": ("verb", "see use", "using a pen"),
    "self": ("noun", "one's own person", "my true self"),
    "main": ("adj.", "most important", "the main street"),
    "module": ("noun", "one part of many", "a module of the house"),
    "mut": ("abbr.", "short for mutual", "mut. friends"),
    "impl": ("abbr.", "short for implement, a tool", "impl. of wood"),
    "esac": ("noun", "the word case read from the end", "a riddle"),
    "iter": ("noun", "an old word for a way", "a long iter"),
    "then": ("adv.", "after that", "and then we slept"),
    "end": ("noun", "the last part", "the end of the day"),
    "begin": ("verb", "to start", "begin at one"),
    "break": ("verb", "to go to pieces", "break a glass"),
    "continue": ("verb", "to go on", "continue to the end"),
    "switch": ("noun", "a thing that turns a light on", "the light switch"),
    "case": ("noun", "a box; also: what happens", "in that case"),
    "when": ("adv.", "at what time", "when do we eat"),
    "each": ("pron.", "every one", "one for each"),
    "puts": ("verb", "see put", "she puts it down"),
    "select": ("verb", "to choose", "select a card"),
    "items": ("noun", "see item", "ten items"),
    "value": ("noun", "what a thing is worth", "the value of gold"),
    "usize": ("abbr.", "short for usual size", "shoes, usize 7"),
    "bool": ("noun", "an old word for a round ball", "a bool of stone"),
    "boolean": ("adj.", "either true or false", "a boolean answer"),
    "integer": ("noun", "a whole number", "7 is an integer"),
    "long": ("adj.", "not short", "a long way"),
    "double": ("adj.", "two times", "a double door"),
    "override": ("verb", "to be above in force", "override a rule"),
    "empty": ("adj.", "with nothing in it", "an empty cup"),
    "stream": ("noun", "a small river", "a clear stream"),
    "system": ("noun", "parts that work together", "the sun system"),
    "math": ("noun", "the study of numbers", "math class"),
    "as": ("conj.", "in the same way", "as big as"),
    "is": ("verb", "see be", "it is"),
    "of": ("prep.", "from or about", "a cup of tea"),
    "in": ("prep.", "inside", "in the box"),
    "to": ("prep.", "in the direction of", "to the lake"),
    "none": ("pron.", "not one", "none of them"),
    "some": ("pron.", "a few", "some of them"),
    "nil": ("noun", "zero", "two goals to nil"),
    "elif": ("noun", "the word file read from the end", "a riddle"),
    "fi": ("noun", "the word if read from the end", "a riddle"),
    "foreach": ("abbr.", "written for: for each", "one foreach child"),
    "unwrap": ("verb", "to take the paper off", "unwrap the box"),
    "clone": ("noun", "a thing just like another", "a clone of a plant"),
    "enumerate": ("verb", "to count one by one", "enumerate the rules"),
    "zip": ("verb", "to close a coat", "zip up the bag"),
    "swap": ("verb", "to give one for another", "swap cards"),
    "chars": ("verb", "see char", "it chars the wood"),
    "trim": ("verb", "to cut a little", "trim the hair"),
    "concat": ("abbr.", "short for concatenate: to join in a chain", "concat. rings"),
    "contains": ("verb", "has in it", "it contains milk"),
    "starts": ("verb", "see start", "it starts now"),
    "any": ("pron.", "one or more", "any of them"),
    "all": ("pron.", "every one", "all of us"),
    "floor": ("noun", "what you walk on in a room", "a floor of wood"),
    "power": ("noun", "strength", "the power of wind"),
    "run": ("verb", "to go fast on foot", "run to the bus"),
    "show": ("verb", "to let see", "show me"),
    "find": ("verb", "to see what was lost", "find the key"),
    "pick": ("verb", "to choose", "pick a card"),
    "build": ("verb", "to make a house", "build a bridge"),
    "check": ("verb", "to look if it is right", "check the sum"),
    "data": ("noun", "values and facts", "data on rain"),
    "sorted": ("adj.", "in order", "a sorted list"),
    "set": ("noun", "things that belong together", "a set of cups"),
    "slices": ("noun", "see slice", "two slices of cake"),
    "replace": ("verb", "to put a new one for the old", "replace the lamp"),
    "vowels": ("noun", "the letters aeiou", "five vowels"),
    "phrase": ("noun", "a few words", "a short phrase"),
    "copied": ("adj.", "made like another", "a copied key"),
    "count": ("noun", "how many there are", "the count of votes"),
    "lower": ("adj.", "less high", "the lower path"),
    "upper": ("adj.", "more high", "the upper path"),
    "default": ("noun", "what you get if you do not choose", "tea is the default"),
    "element": ("noun", "one part of a set", "an element of a set"),
    "limit": ("noun", "the most you may have", "the speed limit"),
    "skip": ("verb", "to leave out", "skip a step"),
    "square": ("noun", "a form with four same sides", "a red square"),
}  # fmt: skip

_SIGN_NAMES = {
    "(": "an opening bracket", ")": "a closing bracket", "[": "an opening square bracket", "]": "a closing square bracket",
    "{": "an opening brace", "}": "a closing brace", "<": "the sign for less", ">": "the sign for greater",
    "=": "the equals sign", "==": "a double equals sign", "!=": "not equal", "<=": "at most", ">=": "at least",
    "+": "plus", "-": "minus", "*": "a star", "/": "a slash", "\\": "a back slash", "%": "percent", "$": "the dollar sign",
    "#": "the hash sign", "@": "the at sign", "&": "and", "&&": "a double and", "|": "a bar", "||": "a double bar",
    "!": "an exclamation mark", "?": "a question mark", ":": "a colon", "::": "a double colon", ";": "a semicolon",
    ",": "a comma", ".": "a full stop", "..": "two dots", "...": "three dots", "_": "a low line", "'": "a single quote",
    '"': "a double quote", "`": "a back quote", "=>": "a double arrow", "->": "an arrow", "++": "more and more",
    "+=": "plus and equals", "-=": "minus and equals", "()": "empty brackets", "[]": "empty square brackets",
    "{}": "empty braces", "<-": "a left arrow", "**": "two stars", "//": "two slashes", "<<": "much less", ">>": "much greater",
    "();": "a winking face", "===": "a triple line", ":=": "is defined as", "~": "about", "^": "a hat",
}  # fmt: skip


def dictionary(rng: random.Random) -> str:
    """A page of a dictionary; some dictionaries write their words with a capital."""
    write = rng.choice((str.lower, str.lower, str.capitalize))
    return "\n".join(
        f'{write(word)} ({_DICTIONARY[word][0]}): {_DICTIONARY[word][1]}; "{_DICTIONARY[word][2]}".'
        for word in sorted(rng.sample(list(_DICTIONARY), rng.randint(7, 12)))
    )


def typing_lesson(rng: random.Random) -> str:
    """A lesson about the signs of the keyboard."""
    person, other = two_people(rng)
    patterns = (
        "The sign {sign} is called {name}.",
        "To type {name}, press shift and {digit}: {sign}",
        "We write {sign} for {name}.",
        "{who} typed {sign} {sign} {sign} in a row.",
        "Key {digit}: {sign} ({name})",
        "After {name} ({sign}) comes a space.",
    )
    lines = [
        rng.choice(patterns).format(
            sign=sign,
            name=_SIGN_NAMES[sign],
            digit=rng.randint(0, 9),
            who=rng.choice((person.name, other.name)),
        )
        for sign in rng.sample(list(_SIGN_NAMES), rng.randint(6, 10))
    ]
    return "Signs on the keyboard\n\n" + "\n".join(lines)


def number_lesson(rng: random.Random) -> str:
    """A board lesson on a list of numbers: all it says is true."""
    numbers = rng.sample(range(1, 20), rng.randint(4, 6))
    shown = ", ".join(map(str, numbers))
    bound = rng.randint(4, 15)
    above = [number for number in numbers if number > bound]
    sentences = [
        f"The largest number is {max(numbers)} and the smallest is {min(numbers)}.",
        f"The first is {numbers[0]}, the last is {numbers[-1]}.",
        f"The sum of the list is {' + '.join(map(str, numbers))} = {sum(numbers)}.",
        f"In reverse: [{', '.join(map(str, numbers[::-1]))}].",
        f"Sort them: {' < '.join(map(str, sorted(numbers)))}.",
        f"The even numbers are {{{', '.join(str(n) for n in numbers if n % 2 == 0)}}}.",
        f"The odd numbers are {{{', '.join(str(n) for n in numbers if n % 2)}}}.",
        f"If we add {bound} to each item, the result is ({', '.join(str(n + bound) for n in numbers)}).",
        f"The count of items greater than {bound} is {len(above)}.",
        f"The numbers of the list that are > {bound}: {above}.",
        f"Is {bound} in the list? {'True' if bound in numbers else 'False'}.",
        f"Let x = {numbers[0]}. Then x + {bound} = {numbers[0] + bound}, and x * 2 = {numbers[0] * 2}.",
        f"Let n be {numbers[1]}: n - 1 = {numbers[1] - 1}; n is {'even' if numbers[1] % 2 == 0 else 'odd'}.",
        f"The length of the list is {len(numbers)}.",
        f"{numbers[0]} != {numbers[1]}, but {bound} == {bound}.",
        f"{max(numbers)} >= {min(numbers)} and {min(numbers)} <= {max(numbers)}.",
        f"abs(-{bound}) = |-{bound}| = {bound}.",
        f"f(x) = x + {bound}, so f({numbers[0]}) = {numbers[0] + bound} and f({numbers[1]}) = {numbers[1] + bound}.",
        f"Half of {bound * 2} is {bound}: {bound * 2} / 2 = {bound}.",
        f"The rest of {numbers[0]} by {bound} is {numbers[0] % bound}.",
    ]
    teacher = rng.choice(NAMES)
    chosen = rng.sample(sentences, rng.randint(5, 8))
    joint = rng.choice(("\n", " "))
    return f"{teacher} writes on the board: [{shown}]\n\n{joint.join(chosen)}"


def word_lesson(rng: random.Random) -> str:
    """A board lesson on a list of words: all it says is true."""
    words = rng.sample((*THINGS, *FRUITS[1:], *PLACES), rng.randint(3, 5))
    quoted = [f'"{word}"' for word in words]
    longest = max(words, key=len)
    letter = words[0][0]
    sentences = [
        f"Sort the words: {', '.join(sorted(words))}.",
        f"The first word is {quoted[0]}; the last word is {quoted[-1]}.",
        f"The longest is '{longest}' with length {len(longest)}.",
        f"In upper letters: {' '.join(words).upper()}.",
        f"Join them with a dash: {'-'.join(words)}.",
        f"Join them with a low line: {'_'.join(words)}.",
        f'Split "{words[0]} {words[1]}" at the space and you have two words.',
        f"In reverse order: {', '.join(words[::-1])}.",
        f"The word {quoted[0]} begins with {letter!r} and ends with {words[0][-1]!r}.",
        f'Append "{words[1]}s" to the list, and the count is {len(words) + 1}.',
        f"The total length is {' + '.join(str(len(word)) for word in words)} = {sum(map(len, words))}.",
        f"Words of more than four letters: {[word for word in words if len(word) > 4]}.",
        f'The text is "{" ".join(words)}".',
        f'Is "{words[0]}" in the text? True. Is "null" in it? False.',
        f"The letters of {words[0]} are {', '.join(words[0])}.",
        f"Put '{words[1]}' first, then '{words[0]}'; do not repeat them.",
    ]
    joint = rng.choice(("\n", " "))
    return f"Our words today: [{', '.join(quoted)}].\n\n{joint.join(rng.sample(sentences, rng.randint(5, 8)))}"


def chat(rng: random.Random) -> str:
    """A chat log, with its marks and faces."""
    person, other = two_people(rng)
    place, things = rng.choice(PLACES), rng.choice(list(THINGS.values()))
    texts = (
        "hi! :)", "where are you?? :(", f"at the {place} => back at {rng.randint(1, 9)}", "ok, do you want tea? ;)",
        f"i have {rng.randint(2, 20)} {things}, you have 0 :-P", "lol, true!", "not true!!! != fair", "brb {tea time}",
        f"let's meet @ the {place}", "who else is in? if no one, i am out", f"#{place} is full & cold", "static on the line... try again",
        "print it and return it pls", f"{rng.randint(50, 100)}% sure :D", "C++ is a bad mark, C is worse: C < C++", "me: A++ ;)",
        f"the file is in photos/{place}/{things}_{rng.randint(1, 9)}.jpg", "see note (*) below", "type \\ or /, both are fine", "`new` is a word :)",
        "done? done!", "void... null... nothing :/", "my key is _not_ here", f"see www.{place}.org/list?name={person.name.lower()}&x=1",
    )  # fmt: skip
    minute = rng.randint(10, 30)
    lines = []
    for text in rng.sample(texts, rng.randint(6, 10)):
        lines.append(f"[9:{minute}] <{rng.choice((person.name, other.name)).lower()}> {text}")
        minute += rng.randint(1, 2)
    return "\n".join(lines)


def catalogue(rng: random.Random) -> str:
    """The index of a book or the catalogue of a library."""
    topics = rng.sample(
        sorted(
            {
                *THINGS,
                *PLACES,
                *FRUITS,
                "class",
                "function",
                "string",
                "list",
                "number",
                "map",
                "key",
                "value",
            }
        ),
        8,
    )
    lines = [
        f"{topic}, {rng.choice(('see', 'def. of', 'use of', 'new', 'public', 'type of'))} {other}: pp. {first}-{first + rng.randint(1, 9)}"
        for topic, other, first in zip(sorted(topics), rng.sample(topics, 8), rng.sample(range(1, 90), 8), strict=True)
    ]
    return "\n".join(["Index", "", *lines])


def sums(rng: random.Random) -> str:
    """A page about sums in words and in figures, with right results."""
    person, other = two_people(rng)
    lines = [f"{person.name}'s sums for {rng.choice(DAYS)}", ""]
    for _ in range(rng.randint(5, 8)):
        left, right = rng.randint(0, 6), rng.randint(0, 6)
        words = f"{NUMBER_WORDS[left]} and {NUMBER_WORDS[right]} is {NUMBER_WORDS[left + right]}"
        lines.append(
            rng.choice(
                (
                    f"{left} + {right} = {left + right}",
                    f"{words}: {left} + {right} = {left + right}",
                    f"({left} + {right}) * 2 = {(left + right) * 2}",
                )
            )
        )
    lines += ["", f"All true? {other.name} says: true. Sum of marks: {rng.randint(5, 10)}/10."]
    return "\n".join(lines)


def chess(rng: random.Random) -> str:
    """The first moves of a game of chess."""
    white, black = two_people(rng)
    moves = rng.sample(("e4", "d4", "Nf3", "Bc4", "c3", "O-O", "Qe2", "Rd1", "h3", "Nc3+", "Bxf7+", "Qh5#"), 6)
    answers = rng.sample(("e5", "d5", "Nc6", "Bc5", "d6", "O-O", "Qe7", "Nf6", "h6", "Kxf7", "Bb4+", "g6"), 6)
    score = " ".join(f"{n}. {move} {answer}" for n, (move, answer) in enumerate(zip(moves, answers, strict=True), 1))
    verdict = rng.choice(("1-0", "0-1", "1/2-1/2"))
    return (
        f'[White "{white.name}"] [Black "{black.name}"]\n\n{score} {verdict}\n\n'
        f"{white.name} is white and moves first. Step {rng.randint(2, 6)} is a bad step (?!); better is {join_and(rng.sample(moves, 2))}."
    )
