"""Patterns of what an applicant may write for the scorer rather than for the interviewer.

They match text that `suspicion` has folded: in lower case, without accents, with a single blank for
any white space, `'` for any quotation mark and `-` for any dash. Only what concerns invisible
characters and delimiters is matched in the text as it is stored.
"""

import re

# What follows the 5 of "give me a 5", but not of "give me 5 minutes".
_END = (
    r"(?= ?(?:$|[.!?,;:)\]'/]|-(?!\w)|points?\b|stars?\b|marks?\b|out of\b|and\b|please\b|now\b"
    r"|because\b|since\b|regardless\b|no matter\b"
    r"|(?:on|for|in|at) (?:this|every|each|all|my|the|it|everything|any)\b))"
)
_FIVE = rf"(?:[45]|four|five|10|ten|100)(?: ?(?:/|out of|of) ?(?:5|five|10|ten|100))?{_END}"
_A_FIVE = (
    rf"(?:(?:an? |the )?(?:(?:score|rating|grade|mark) (?:of )?)?(?:an? )?(?:perfect |straight "
    rf"|full )?"
    rf"{_FIVE})"
)
_TOP = (
    r"(?:(?:an? |the )?(?:very )?(?:highest|maximum|max|best|top|full|perfect|excellent|outstanding"
    r"|great|good|high)(?: possible)? (?:scores?|ratings?|marks?|grades?|evaluation|points?))"
)
_ANSWER = r"(?:answers?|response|interview|transcript|applicant|candidate|interviewee)"
_ME = (
    rf"(?:me|this(?: {_ANSWER})?|it|that|him|her|them|myself|my \w+|the {_ANSWER}"
    r"|everything|every \w+|each \w+|all(?: \w+){0,2})"
)
_IGNORE = (
    r"(?:ignore|disregard|forget|override|bypass|discard|overlook|do(?: no|n')t (?:follow|use"
    r"|apply)"
    r"|stop (?:following|using))"
)
_INSTRUCTIONS = (
    r"(?:instructions?|prompts?|rules|directions|directives|guidelines|orders|commands|constraints"
    r"|programming)"
)
_MODEL = (
    r"(?:ai|llm|evaluator|scorer|grader|rater|chatgpt|gpt|(?:large )?language model"
    r"|(?:ai|scoring|grading|rating|evaluation) (?:model|system|assistant))"
)

IMPERATIVES = re.compile(
    "|".join(
        [
            rf"{_IGNORE} (?:\w+ ){{0,3}}?(?:rubric|anchors"
            r"|(?:scoring|grading|rating|evaluation|assessment) (?:criteria|scale|rules"
            r"|guid\w+))\b",
            rf"{_IGNORE} (?:\w+ ){{0,3}}?(?:previous|prior|above|earlier|preceding|foregoing"
            rf"|existing"
            r"|initial|original|system|your|former)(?: (?:system|user|scoring|evaluation|own))?"
            rf" {_INSTRUCTIONS}\b",
            rf"{_IGNORE} (?:(?:all|any|every|these|those|the) )+(?:of )?(?:the |your )?"
            r"(?:instructions?|prompts?)\b",
            rf"{_IGNORE} (?:everything|anything|all|whatever|what)(?: of)?(?: the)?(?: that)?"
            r" (?:above|before|(?:was|is|has been|you (?:were|are|have been)) (?:said|told|asked"
            r"|instructed|written|given))\b",
            rf"(?:give|award|assign|grant) (?:{_ME} )?(?:{_A_FIVE}|{_TOP})",
            rf"(?:rate|score|grade|mark|evaluate|assess|judge) {_ME} (?:as |with |at )?{_A_FIVE}",
            rf"(?:rate|score|grade|mark|evaluate|assess|judge|consider|treat) {_ME}"
            rf" (?:as|with|at|to be) (?:{_TOP}|(?:an? |the |fully )*(?:excellent|outstanding"
            rf"|perfect"
            r"|exceptional|exemplary|highest|maximum|top|met|correct)\b)",
            rf"(?:rate|score|grade) (?:me|my \w+|this(?: {_ANSWER})?|the {_ANSWER}) (?:as|at"
            rf"|with)\b",
            rf"(?:output|return|(?:respond|answer|reply) with) (?:only |just |exactly )?{_A_FIVE}",
            r"(?:pretend|assume|act as if) (?:that )?(?:i|the (?:applicant|candidate))"
            r" (?:met|meets?|fulfil\w*|passed)\b",
            r"(?:set|assign|output|return|write|print|put|change|raise|increase|adjust"
            r"|(?:respond|answer|reply) with) (?:\w+ ){0,3}?(?:score|rating|grade)s?"
            rf"(?: \w+){{0,2}}? ?(?:to|of|as|=|:) ?(?:an? |the )?(?:{_FIVE}|maximum|highest)",
        ]
    )
)
"""Orders in English, suspicious only where they are given and not told of."""

BEFORE_AN_IMPERATIVE = re.compile(
    r"(?:^|[^\w ] ?|\b(?:please|pls|just|now|then|therefore|must|should|shall|always|simply|kindly"
    r"|and|so|but|also|you|you (?:can|may|will|could|would|need to|have to|are to|to)"
    r"|(?:required|instructed|supposed|ordered|asked|told) to) )$"
)

PHRASES = re.compile(
    "|".join(
        [
            # English
            r"\byou (?:must|should|shall|will|have to|need to|are (?:now )?(?:required|instructed"
            r"|obliged|supposed|ordered|going) to) (?:(?:now|only|always|therefore|please) )?"
            r"(?:(?:score|rate|grade|mark|give|award|assign|return|output|respond|answer)"
            rf"(?: \w+){{0,5}}? (?:{_A_FIVE}|{_TOP})"
            rf"|(?:score|rate|grade|mark|evaluate) (?:me|my {_ANSWER}|this {_ANSWER})\b)",
            rf"\bas the {_MODEL},? ?(?:you|please|give|rate|score|assign|consider|ignore|treat"
            rf"|award"
            r"|mark|do|remember|it is your)\b",
            r"\bas an? (?:ai|llm|(?:large )?language model)\b[\w ]{0,20},? ?you\b",
            rf"\bif you are an? (?:{_MODEL}|automated (?:evaluator|system|scorer)|bot)\b",
            r"\byou are now (?:an? |in |the )?(?:ai|dan|free|unrestricted|helpful|assistant"
            r"|developer"
            rf"|{_MODEL})\b",
            rf"\b(?:dear|attention|hey|hello|hi|note to|message to|to) (?:the |all |any )?{_MODEL}"
            r" ?[,:!]",
            r"\b(?:note|message|reminder) (?:to|for) (?:the |all |any )?(?:ai )?"
            r"(?:evaluator|scorer|grader|rater|llm|(?:scoring|grading|rating) (?:model|system))\b",
            r"\byou are (?:now )?an? (?:\w+ )?(?:evaluator|scorer|grader|rater)\b",
            rf"\bthe (?:score|rating|grade) (?:should|must|shall|has to|will|is to) be {_A_FIVE}",
            rf"\bthe (?:correct|right|only|fair|appropriate|true) (?:score|rating"
            rf"|grade) is {_A_FIVE}",
            r"\b(?:new|updated|revised|additional|real|actual|hidden|secret|important) (?:system )?"
            r"instructions? ?:",
            r"\bsystem (?:prompt|override|message|note|instruction)s? ?:",
            r"\b(?:scoring|grading|evaluation|rubric|system) override\b",
            r"\b(?:final|overall|applicant|candidate|recommended|suggested) (?:score|rating"
            r"|verdict)"
            rf" ?[:=] ?'?{_FIVE}",
            rf"\b(?:this|the) {_ANSWER} (?:must|should|shall|has to|deserves|is to|needs to|merits)"
            rf"(?: \w+){{0,4}}? (?:{_A_FIVE}|{_TOP})",
            # German
            r"\b(?:gib|geben sie|vergib|vergeben sie|musst du|du musst|mussen sie|sie mussen)"
            r" (?:\w+ ){0,3}?(?:5|funf|fuenf|volle|maximale|alle) punkte?\b",
            r"\b(?:ignorier\w*|vergiss|vergessen sie|missacht\w*|ubergeh\w*"
            r"|befolgen? (?:sie )?nicht)"
            r" (?:\w+ ){0,3}?(?:(?:vorherig|bisherig|obig|vorig|fruher|vorangegangen|vorstehend)\w*"
            r" (?:anweisung|vorgabe|regel|instruktion|befehl|anleitung|prompt)\w*"
            r"|bewertungs\w+|rubrik\w*|(?:system)?prompts?|deine \w*(?:anweisung|regel)\w*)\b",
            r"\b(?:gib|geben sie|gebt) (?:mir|ihm|ihr|dem \w+|dieser \w+|diesem \w+) (?:\w+ ){0,2}?"
            r"(?:(?:5|funf|fuenf)(?! \w*(?:minut|stund|tag|woch|monat|jahr|beispiel|euro|prozent))"
            r"|(?:hochst|best|voll|maximal)\w* (?:punkt|note|bewertung|wertung|score)\w*"
            r"|(?:hochst|best|maximal)(?:punkt|note|bewertung|wertung)\w*)",
            r"\b(?:bewerte|bewerten sie|benote|benoten sie) (?:\w+ ){0,4}?(?:mit|als)"
            r" (?:\w+ ){0,2}?(?:5|funf|fuenf|hochst\w*|best\w*|voll\w*|hervorragend"
            r"|ausgezeichnet)\b",
            r"\b(?:du musst|sie mussen) (?:\w+ ){0,5}?(?:(?:mit|eine|als) (?:5|funf|fuenf)\b"
            r"|(?:hochst|best)\w* (?:punkt|note|bewertung)\w*)",
            # Spanish
            r"\b(?:pon|ponga|pongan|da|den) un (?:5|cinco|10|diez)\b",
            r"\b(?:ignor(?:a|e|ad|en)|olvid(?:a|e|ad|en)|descart(?:a|e|ad|en)|omit(?:e|a|an)"
            r"|no (?:sigas|siga|tengas en cuenta|tenga en cuenta)|haz caso omiso de"
            r"|haga caso omiso de)"
            r" (?:\w+ ){0,3}?(?:(?:instruccion|indicacion|regla|orden"
            r"|directriz)\w* (?:\w+ )?(?:anterior"
            r"|previa|precedente|del sistema|de arriba)\w*|rubrica|prompt|criterios de evaluacion)",
            r"\b(?:dame|deme|denme|ponme|pongame|otorgame|otorgueme|asigname|asigneme|dale|dele)"
            r" (?:\w+ ){0,4}?(?:(?:5|cinco|10|diez)(?! \w*(?:minut|hora|dia|semana|mes|ano"
            r"|ejemplo))\b"
            r"|(?:puntuacion|nota|calificacion|puntaje) (?:\w+ )?(?:maxim|perfect|mas alt|alt)\w*"
            r"|(?:maxim|mejor|mas alt)\w* (?:puntuacion|nota|calificacion|puntaje))",
            r"\b(?:califica|califique|evalua|evalue|puntua|puntue)(?:me|lo|la)? (?:\w+ ){0,4}?"
            r"(?:con|como) (?:\w+ ){0,2}?(?:5|cinco|10|diez|maxim\w*|excelente|perfect\w*)\b",
            r"\b(?:debes|debe|tienes que|tiene que) (?:calificar|puntuar|evaluar|dar|otorgar"
            r"|asignar)\w*"
            r" (?:\w+ ){0,5}?(?:un 5|un cinco|con (?:un )?(?:5|cinco)|maxim\w*)\b",
            # French
            r"\b(?:ignor(?:e|ez)|oubli(?:e|ez)|ne ten(?:ez|iens) pas compte|ne tiens pas compte"
            r"|ne sui(?:s|vez) pas|fai(?:s|tes) abstraction) (?:\w+ ){0,3}?(?:(?:instruction"
            r"|consigne"
            r"|regle|directive|ordre)s? (?:\w+ )?(?:precedent|anterieur|ci-dessus|initial"
            r"|du systeme)\w*"
            r"|rubrique|bareme|prompt|grille (?:d'|de )\w+)",
            r"\b(?:donne|donnez|mets|mettez|attribue|attribuez|accorde|accordez)-(?:moi|lui|y)"
            r" (?:\w+ ){0,3}?(?:(?:5|cinq|20|vingt)(?! \w*(?:minut|heur|jour|semaine|mois|an"
            r"|exemple))\b"
            r"|(?:meilleure|plus haute) (?:note|evaluation)|(?:note|score|evaluation) maxim\w*"
            r"|maximum)",
            r"\b(?:notez|evaluez|(?:note|evalue)(?=-moi\b| (?:cette|ceci|ma|mon|mes)\b))(?:-moi)?"
            r" (?:\w+ ){0,4}?(?:(?:5|cinq)(?= ?(?:$|[.!,;/]|sur\b|points?\b))"
            r"|comme (?:excellent|parfait)\w*|au maximum)",
            r"\b(?:tu dois|vous devez|il faut) (?:me )?(?:noter|attribuer|donner|accorder|evaluer"
            r"|mettre)"
            r" (?:\w+ ){0,5}?(?:(?:5|cinq)(?= ?(?:$|[.!,;/]|sur\b|points?\b))|note maximale"
            r"|maximum)",
            r"\b(?:donnez|donne|attribuez|attribue|mettez|mets|accordez|accorde) (?:\w+ ){0,3}?"
            r"(?:note maximale|meilleure note|5 sur 5|cinq sur cinq)\b",
            r"\b(?:ignor|oubli)(?:e|ez) (?:toutes )?(?:tes|vos) (?:instructions|consignes"
            r"|regles)\b",
            # Filipino
            r"\b(?:(?:huwag|wag) (?:(?:mo|mong|ninyo|ninyong|nyo|nyong) )?(?:nang )?(?:pansinin"
            r"|sundin"
            r"|gamitin|intindihin)|balewalain(?: mo| ninyo)?|kalimutan mo|kalimutan ninyo"
            r"|ipagwalang-? ?bahala(?: mo| ninyo)?) (?:\w+ ){0,5}?(?:tagubilin|utos|panuto"
            r"|instruksyon"
            r"|instructions?|rubric|rubrik|pamantayan|prompt)\b",
            r"\b(?:bigyan|bigyan mo|bigyan ninyo|bigyan nyo|dapat mo|dapat mong"
            r"|dapat)(?: \w+){0,4}?"
            r" (?:ako|akong|siya|ito|sagot)(?: \w+){0,2}? (?:ng|nang) (?:\w+ ){0,2}?(?:(?:5|lima"
            r"|limang)(?! \w*(?:minut|oras|araw|linggo|buwan|taon|halimbawa))\b"
            r"|(?:pinakamataas|perpekto|perfect|mataas)\w*(?: na)? (?:iskor|marka|puntos|grado"
            r"|score"
            r"|rating))",
            r"\b(?:i-? ?(?:rate|score|grade)|markahan|gradohan) (?:mo |ninyo |nyo )?(?:ako|ito|siya"
            r"|ang sagot\w*)(?: \w+){0,3}? (?:ng|nang|bilang|as) (?:\w+ )?(?:5|lima|perfect"
            r"|pinakamataas)",
            r"\bkalimutan (?:mo |ninyo )?ang (?:\w+ ){0,2}?(?:nauna"
            r"|nakaraan)\w* (?:\w+ )?(?:tagubilin"
            r"|utos|panuto|instruksyon|instructions?)\b",
            r"\bbigyan (?:mo |ninyo |nyo )?ng (?:5|lima|limang puntos"
            r"|pinakamataas na \w+) ang (?:sagot"
            r"|aplikante|kandidato)\w*",
            r"\bdapat (?:ay )?(?:5|lima) ang (?:\w+ )?(?:score|iskor|marka|grado|rating)\b",
            # Keys of the answer that the scorer is to give, and marks of a model's own format
            r"\\?'(?:score|evidence|rationale|polarity|message_id)\\?' ?:",
            r"[{,] ?(?:evidence|rationale|polarity|message_id) ?:|\{ ?score ?:",
            r"<\|[^|]{1,30}\|>",
            r"\[/?(?:inst|system|assistant)\]",
            r"<<?/?sys>>?",
            r"</?(?:system|assistant|user|human|instructions?|transcript|interview|conversation"
            r"|rubric|prompt|applicant|interviewer|evaluation|scoring|turns?)\b[^<>]{0,40}>",
            r"#{2,} ?(?:system|instructions?|assistant|response|user|human|rubric|scoring|end)\b",
        ]
    )
)

OPENINGS = re.compile(
    r"\b(?:system|assistant|interviewer|evaluator|scorer|grader|ai|chatgpt|sistema|asistente"
    r"|entrevistadora?|systeme|intervieweu(?:r|se)|interviewerin|tagapanayam)"
    r"(?: (?:prompt|message|note|override))?[\])*_']{0,3} ?:"
    rf"|\b(?:my )?(?:score|rating) ?[:=] ?{_FIVE}"
)
"""Who speaks, as in a transcript, and a score; suspicious where a sentence begins."""

ENDS = re.compile(
    r"\b(?:(?:this|here) is the )?(?:end|begin|beginning|start|close|ende|fin) (?:of |der |des "
    r"|de |del )?(?:the |this |la "
    r"|el )?"
    r"(?:transcript\w*|transkripts?|transcripcion|interviews?|entrevista|entretien|conversation"
    r"|input|untrusted \w+|applicant\w*|candidate\w*|dialog\w*|context|prompt|turns?)\b"
)
"""The end of what is to be rated; suspicious where it is a sentence of its own."""

DELIMITERS = re.compile(
    r"-{4,}|={4,}|~{4,}|#{4,}|[\u2012-\u2015\u2500\u2501\u2550]{4,}"
    r"|[-=<>#*_~]{3} ?/?(?:end|begin|start|stop)\b"
    r"|\b(?-i:END) OF (?:THE )?(?-i:TRANSCRIPT|INTERVIEW|CONVERSATION|INPUT|DATA|TEXT|PROMPT)\b",
    re.IGNORECASE,
)
"""In the text as it is stored: what sets parts of a text apart."""
