"""Word lists and letter classes of the rule-based extractor; small, and written for it.

They hold closed classes (function words, auxiliaries, months, titles) and cue words for types.
None of them lists entities.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """Split a block of words into a set."""
    return frozenset(text.split())


def _phrases(text: str) -> list[str]:
    """Split a block of phrases at its commas."""
    return [" ".join(phrase.split()) for phrase in text.split(",") if phrase.strip()]


def uppercase_class() -> str:
    """Return the inside of a regex character class of upper-case letters (Latin, Greek, Cyrillic, …)."""
    ranges: list[str] = []
    start: int | None = None
    for code in [*range(0x41, 0x590), *range(0x1E00, 0x2000), 0x2000]:
        upper = chr(code).isupper()
        if upper and start is None:
            start = code
        elif not upper and start is not None:
            ranges.append(f"{chr(start)}-{chr(code - 1)}")
            start = None
    return "".join(ranges)


DETERMINERS = words(
    """
    a an the this that these those his her its their our my your some any each every no both all another
    such several many most few more less other certain various
    """
)
PRONOUNS = words(
    """
    i he she it we they you him her them us me himself herself itself themselves who whom whose which what
    one someone somebody anyone anybody everyone everybody nobody nothing something anything everything
    """
)
PREPOSITIONS = words(
    """
    of in on at by for with from to into onto about against between among through during before after
    above below under over since until till upon within without across along around behind beside beyond
    near off out toward towards via per as like unlike despite inside outside throughout alongside amid
    amongst aboard including
    """
)
CONJUNCTIONS = words(
    """
    and or but nor so yet because although though while whereas when where if unless than that once
    whether
    """
)
ADVERBS = words(
    """
    not never also then there here now thus hence however moreover furthermore therefore meanwhile later
    afterwards afterward soon already still only even just often always sometimes usually again too very
    quite rather almost nearly perhaps maybe instead indeed finally eventually originally initially
    currently previously formerly subsequently together away back up down first last next early late
    mainly mostly partly well far ever shortly today tomorrow yesterday additionally similarly
    consequently nevertheless nonetheless otherwise overall unfortunately fortunately recently immediately
    ultimately reportedly allegedly apparently how why according due apart aside given based besides
    notably
    """
)
FUNCTION_WORDS = (
    DETERMINERS
    | PRONOUNS
    | PREPOSITIONS
    | CONJUNCTIONS
    | ADVERBS
    | words(
        """
    is are was were be been being am has have had do does did will would shall should can could may might
    must let please yes no ok oh ah well hello thanks dear hi hey
    """
    )
)
BE = words("is are was were be been being am 's 're")
AUXILIARIES = BE | words(
    """
    has have had having do does did will would shall should can could may might must 'll 've 'd to
    """
)
COPULAS = words("is are was were became becomes remains remained be been being")

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
            "august aug", "september sep sept", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip
CALENDAR = frozenset(MONTHS) - {"may", "march", "mar", "sep", "dec", "jan"} | words(
    """
    january march monday tuesday wednesday thursday friday saturday sunday bc ad bce ce am pm century
    """
)

# Capitalised at the start of a sentence without being names.
ORDINARY = words(
    """
    people man men woman women child children family father mother parents brother brothers sister sisters
    son sons daughter daughters wife husband friend friends critics reviewers scientists researchers
    scholars historians students teachers workers members officials authorities police soldiers troops
    residents visitors players fans writers authors directors actors engineers doctors experts observers
    reporters witnesses supporters opponents film films movie movies book books novel novels song songs
    album albums story stories play plays music band series season episode episodes game games team teams
    club company companies school schools college university church city town village country state
    government army navy war battle party election law court house building station line road river lake
    mountain island sea ocean north south east west northern southern eastern western central production
    filming recording construction work works research studies study results data evidence analysis
    methods method design development education career life death birth marriage history culture
    population language languages religion politics economy trade industry business science art sports
    sport training service services support control power energy water air fire land food weather ice snow
    ships ship crew captain president king queen prince princess emperor duke count bishop general colonel
    minister governor mayor professor doctor chairman director members member part parts most half one two
    three four five six seven eight nine ten hundreds thousands millions dozens billion million thousand
    hundred second third fourth fifth years year months month weeks week days day hours hour minutes time
    times morning night evening winter summer spring autumn old new young good bad great small large big
    long short high low early late best better several following despite set born raised located situated
    founded established published released written directed produced based known named called made built
    designed used given taken created formed married educated having being working living using starring
    winning playing beginning growing following together another although though because since while when
    where who what why how whether if unless until once after before then there here today tomorrow
    yesterday tonight meanwhile however moreover furthermore therefore thus hence nevertheless nonetheless
    instead indeed also additionally finally eventually originally initially currently previously formerly
    subsequently later afterwards soon recently similarly likewise consequently overall such other others
    same different many much more less few fewer each every both either neither all none some any no not
    only even just still yet again almost nearly about around over under between among within without
    during through throughout against toward towards across along near upon according due thanks owing
    apart contrary prior next last first above below inside outside behind beyond for from with by at on
    in of to as reviews critics reception plot cast background overview legacy personal biography
    references notes summary introduction conclusion chapter section table figure example examples note
    see source sources text title question questions answer answers problem problems issue issues idea
    ideas fact facts reason reasons case cases number numbers group groups area areas region regions place
    places point points end start beginning side sides way ways kind type types form forms level levels
    system systems process change changes use order rule rules right rights role name names word words
    letter letters news report reports article articles nothing something everything anything someone
    everyone nobody anyone children's men's women's yes no please thank hello oh ah well okay look listen
    wait come go let see take make get give keep tell say think know want need try find ask put leave call
    feel seem turn show hear play run move live believe bring happen write sit stand lose pay meet include
    continue learn lead understand watch follow stop create speak read allow add spend grow open walk win
    offer remember consider appear buy serve die send expect build stay fall cut reach kill remain suggest
    raise pass sell require report decide pull
    """
)

HONORIFICS = words(
    """
    mr mr. mrs mrs. ms ms. dr dr. prof prof. sir dame lord lady rev rev. fr fr. gen gen. lt lt. col col.
    capt capt. sgt sgt. maj maj. adm adm. gov gov. sen sen. rep rep. hon hon. mx mx. madame monsieur
    mademoiselle herr frau don donna señor señora sheikh shaikh imam rabbi swami sri shri pope
    """
)
TITLES = words(
    """
    president king queen prince princess emperor empress duke duchess count countess earl baron baroness
    marquess marquis viscount margrave landgrave archduke tsar czar sultan shah khan pharaoh bishop
    archbishop cardinal abbot abbess father brother sister mother captain commander general colonel major
    lieutenant sergeant corporal private admiral commodore marshal minister chancellor premier governor
    mayor senator congressman congresswoman representative secretary ambassador justice judge professor
    doctor chairman chairwoman director chief coach manager engineer pilot navigator explorer officer
    inspector detective agent uncle aunt reverend deacon elector caliph emir maharaja raja rani regent
    heir lord-lieutenant sheriff
    """
)
CAPITAL_TITLES = TITLES | words("prime vice deputy sir lord lady crown")
PERSON_NOUNS = TITLES | words(
    """
    writer author novelist poet playwright actor actress singer musician composer guitarist drummer
    pianist rapper songwriter conductor painter sculptor artist architect photographer filmmaker producer
    screenwriter editor journalist reporter historian philosopher economist scientist physicist chemist
    biologist mathematician astronomer geologist engineer inventor explorer navigator sailor pilot
    astronaut cosmonaut physician surgeon nurse lawyer attorney politician diplomat statesman activist
    economist businessman businesswoman entrepreneur banker soldier officer footballer player cricketer
    boxer wrestler swimmer runner cyclist skier golfer jockey racer sprinter goalkeeper midfielder striker
    defender coach athlete comedian dancer model presenter broadcaster teacher professor scholar
    theologian priest monk nun missionary nobleman noblewoman aristocrat royal monarch ruler leader member
    son daughter wife husband brother sister father mother nephew niece cousin grandson granddaughter
    grandfather grandmother widow spouse child consort mistress twin stepson stepdaughter
    """
)
FIRST_NAMES = words(
    """
    james john robert michael william david richard charles joseph thomas christopher daniel paul mark
    donald george kenneth steven edward brian ronald anthony kevin jason matthew gary timothy jose larry
    jeffrey frank scott eric stephen andrew raymond gregory joshua jerry dennis walter patrick peter
    harold douglas henry carl arthur ryan roger joe juan jack albert jonathan justin terry gerald keith
    samuel willie ralph lawrence nicholas roy benjamin bruce brandon adam harry fred wayne billy steve
    louis jeremy aaron randy howard eugene carlos russell bobby victor martin ernest phillip todd jesse
    craig alan shawn clarence sean philip chris johnny earl jimmy antonio danny bryan tony luis mike
    stanley leonard nathan dale manuel rodney curtis norman allen marvin vincent glenn jeffery travis mary
    patricia linda barbara elizabeth jennifer maria susan margaret dorothy lisa nancy karen betty helen
    sandra donna carol ruth sharon michelle laura sarah kimberly deborah jessica shirley cynthia angela
    melissa brenda amy anna rebecca virginia kathleen pamela martha debra amanda stephanie carolyn
    christine marie janet catherine frances ann anne joyce diane alice julie heather teresa doris gloria
    evelyn jean cheryl mildred katherine joan ashley judith rose janice kelly nicole judy christina kathy
    theresa beverly denise tammy irene jane lori rachel marilyn andrea kathryn louise sara jacqueline
    wanda bonnie julia ruby lois tina phyllis norma paula diana annie lillian emily robin peggy crystal
    gladys rita dawn connie florence tracy edna tiffany carmen rosa cindy grace wendy victoria edith kim
    sherry sylvia josephine thelma shannon sheila ethel ellen elaine marjorie carrie charlotte monica
    esther pauline emma juanita anita rhonda hazel amber eva debbie april leslie clara lucille jamie
    joanne eleanor valerie danielle megan alicia suzanne michele gail bertha darlene veronica jill erin
    geraldine lauren cathy joann lorraine lynn sally regina erica beatrice dolores bernice audrey yvonne
    annette alexander alfred andre andrei andreas angelo antoine august bernard boris carlo cesar claude
    diego dmitri edgar edmund emil enrique ernst felix ferdinand fernando francesco francis francisco
    francois friedrich fritz gabriel giovanni giuseppe giulio guillaume gustav hans heinrich henri hermann
    hugo ian igor isaac ivan jacob jacques jan jean joachim johan johann johannes jorge karl klaus konrad
    kurt lars leo leon lorenzo luca ludwig luigi marco marcel mario mikhail miguel mohammed muhammad
    nicolas nikolai olaf oliver oscar otto pablo paolo pedro pierre rafael ricardo roald rudolf salvatore
    sergei simon stefan theodor theodore umberto viktor vladimir wilhelm wolfgang yuri ahmed ali hassan
    hussein ibrahim omar yusuf raj ravi rahul sanjay vijay anil kumar hiroshi kenji takashi yuki min ji
    sung hyun wei li chen ming adolf agnes amelia astrid bella bob bill ben jim tom tim sam dan ken ron
    ray ted jeff greg doug don dave rick nick pete phil max alex ned nellie ernestine matilda isabella
    sophia sophie olivia lucy lily ella chloe mia zoe hannah abigail samantha natalie leah maya ursula
    ingrid greta helga
    """
)
DEMONYMS = words(
    """
    american british english scottish welsh irish french german dutch belgian swiss austrian italian
    spanish portuguese greek turkish russian ukrainian polish czech slovak hungarian romanian bulgarian
    serbian croatian bosnian albanian danish swedish norwegian finnish icelandic estonian latvian
    lithuanian georgian armenian israeli arab iraqi iranian persian afghan pakistani indian bengali
    nepalese chinese japanese korean vietnamese thai indonesian malaysian filipino australian canadian
    mexican cuban brazilian argentine chilean peruvian colombian venezuelan egyptian moroccan algerian
    tunisian libyan nigerian ghanaian kenyan ethiopian african european asian soviet roman byzantine
    ottoman jewish christian muslim catholic protestant buddhist hindu anglican orthodox victorian viking
    norse celtic frankish latin hebrew arabic mandarin cantonese tamil telugu malayalam kannada hindi urdu
    punjabi marathi bosonid hispanic scandinavian
    """
)
EPITHETS = words(
    """
    elder younger great lesser bald bold brave black white red good pious fat lame mad wise magnificent
    conqueror confessor lionheart terrible fair simple strong cruel tall short old young third second
    first impaler navigator fearless handsome child blind
    """
)
NAME_PARTICLES = words(
    """
    de von van der den del della di da dos das du la le las los el al ad ibn bin bint ben ter ten zu zum
    zur of y e af av do
    """
)

ORGANIZATION_CUES = words(
    """
    university college school academy institute institution laboratory laboratories lab observatory
    hospital clinic company corporation corp corp. inc inc. ltd ltd. limited llc plc gmbh ag co co. group
    holdings partners bank airlines airways records studios studio pictures productions entertainment
    press publishing publications association society union federation league club committee council
    commission board agency bureau department ministry office service services administration authority
    organization organisation foundation trust fund party movement front army navy corps regiment brigade
    battalion division squadron fleet force forces guard police parliament congress senate assembly
    cabinet court government church diocese archdiocese orchestra band choir ensemble quartet museum
    gallery library theatre theater team f.c. fc afc united rovers wanderers athletic network channel
    television radio broadcasting systems technologies motors industries industrial electric railway
    railways railroad enterprises consortium alliance coalition center centre faculty brothers sons
    """
)
PLACE_CUES = words(
    """
    island islands isle isles sea ocean bay gulf strait channel sound fjord cape peninsula coast lake
    river creek mountain mountains mount mt mt. peak hill hills valley glacier shelf plateau desert forest
    park reserve canyon falls beach harbour harbor port county district province state states republic
    kingdom empire duchy principality territory prefecture municipality town village city borough township
    region street road avenue square bridge station airport castle palace fort abbey cathedral tower
    temple shrine hall house building stadium arena prison cemetery point land lands barrier continent
    ridge basin pole camp base hut islet reef ranch plantation north south east west hotel dam canal
    lighthouse parish hundred voivodeship oblast barrio
    """
)
EVENT_CUES = words(
    """
    war wars battle siege revolution rebellion revolt uprising expedition voyage treaty conference
    congress summit festival olympics games cup championship championships tournament election elections
    massacre crisis disaster earthquake flood fire hurricane eruption trial coup crusade crusades campaign
    operation mission accord agreement day awards award prize ceremony race grand-prix exhibition fair
    celebration holocaust famine plague pandemic marathon convention rally riots strike debate anniversary
    """
)
WORK_CUES = words(
    """
    film movie novel book album song single play opera symphony poem series show episode sitcom
    documentary painting sculpture magazine journal newspaper anthology soundtrack musical ballet sonata
    concerto manga anime comic comics trilogy saga memoir autobiography essay article edition gazette
    times herald tribune chronicle post news bulletin
    """
)
PRODUCT_CUES = words(
    """
    ship vessel steamer steamship schooner brig barque icebreaker frigate destroyer cruiser battleship
    submarine aircraft airplane plane helicopter bomber fighter rocket spacecraft satellite probe
    spaceship engine car locomotive truck tank missile rifle gun phone computer console processor software
    browser device telescope drug medicine vaccine model rover shuttle
    """
)
SHIP_PREFIXES = words(
    """
    hms uss ss rms mv rrs hmas hmcs rv r/v s/y ara sms ins usns uscgc rrv rv
    """
)
NAME_TYPES = ("person", "organization", "place", "event", "work", "product", "concept")
PLACE_PREPOSITIONS = words(
    """
    in at near from to towards toward across around through outside into off
    """
)

REPORTING_HEDGES = words(
    """
    allegedly alleged alleges reportedly reported supposedly supposed presumably presumed apparently
    possibly probably perhaps believed believes claimed claims disputed disputes uncertain unclear
    unconfirmed rumoured rumored suspected suspects speculated thought purportedly purported likely legend
    unproven contested controversial
    """
)
HEDGE_PHRASES = (
    "may have",
    "might have",
    "could have",
    "said to",
    "according to legend",
    "not certain",
    "not clear",
)
DENIALS = words(
    """
    never denied denies deny refuted debunked disproved disproven false untrue hoax unfounded baseless
    fictitious
    """
)
DENIAL_PHRASES = tuple(
    _phrases(
        """
        did not, does not, do not, was not, were not, is not, are not, had not, has not, have not, no
        evidence, didn't, wasn't, weren't, isn't, could not, cannot, no longer, failed to
        """
    )
)

IRREGULAR_VERBS = {
    surface: base
    for base, surfaces in (
        line.split(":")
        for line in _phrases(
            """
    be:am is are was were been being, become:became becomes becoming, begin:began begun begins beginning,
    bear:bore born borne, beat:beat beaten beats, bind:bound, break:broke broken breaks, bring:brought
    brings, build:built builds, buy:bought buys, catch:caught, choose:chose chosen chooses, come:came come
    comes, cut:cut, deal:dealt, die:died dies dying, do:did done does, draw:drew drawn draws, drive:drove
    driven drives, eat:ate eaten, fall:fell fallen falls, feed:fed, fight:fought fights, find:found finds,
    flee:fled flees, fly:flew flown flies, forbid:forbade forbidden, forget:forgot forgotten, freeze:froze
    frozen, get:got gotten gets, give:gave given gives, go:went gone goes, grow:grew grown grows,
    hang:hung hanged, have:had has having, hear:heard hears, hide:hid hidden, hit:hit, hold:held holds,
    keep:kept keeps, know:knew known knows, lay:laid, lead:led leads, leave:left leaves, lend:lent,
    lie:lay lain lies lying, lose:lost loses, make:made makes making, mean:meant means, meet:met meets,
    overtake:overtook overtaken, pay:paid pays, read:reads, ride:rode ridden, ring:rang rung, rise:rose
    risen rises, run:ran runs running, say:said says, see:saw seen sees, seek:sought seeks, sell:sold
    sells, send:sent sends, set:set sets, shoot:shot shoots, show:showed shown shows, sing:sang sung
    sings, sink:sank sunk sinks, sit:sat sits, speak:spoke spoken speaks, spend:spent spends, stand:stood
    stands, steal:stole stolen, strike:struck strikes, swim:swam swum, take:took taken takes, teach:taught
    teaches, tell:told tells, think:thought thinks, throw:threw thrown, understand:understood, win:won
    wins winning, wear:wore worn, withdraw:withdrew withdrawn, write:wrote written writes writing
    """
        )
        if ":" in line
    )
    for surface in surfaces.split()
    for base in [base.strip()]
}
# Base forms and third persons that no suffix gives away.
PLAIN_VERBS = words(
    """
    star stars starring feature features featuring play plays tell tells include includes contain contains
    live lives work works belong belongs serve serves lie lies border borders flow flows rule rules reign
    reigns own owns operate operates produce produces direct directs explore explores follow follows
    depict depicts describe describes consist consists form forms represent represents cover covers
    connect connects link links host hosts carry carries call calls use uses cause causes support supports
    study studies measure measures monitor monitors drill drills protect protects prohibit prohibits
    govern governs regulate regulates require requires allow allows remain remains enter enters reach
    reaches join joins marry marries visit visits sail sails kill kills
    """
)
# Words in -ed that are no verbs, and nouns in -ing.
NOT_VERBS = words(
    """
    united red bed hundred sacred naked beloved kindred shed speed seed need breed indeed exceed
    supposed-to king ring thing something anything nothing everything spring string wing evening morning
    building during ceiling sibling offspring sterling viking wedding painting drawing clothing meaning
    beginning being according including young old rated talented gifted unnamed limited aged
    """
)
UNITS = words(
    """
    km m cm mm mi miles mile kilometres kilometers metres meters feet ft inches kg tonnes tons percent per
    years year days day months weeks hours minutes million billion thousand people points goals wins seats
    men votes times
    """
)
COUNTRY_ACRONYMS = words("US U.S. U.S USA U.S.A. UK U.K. USSR UAE DRC GDR NYC LA")
NO_NAMES = words(
    """
    TV CD DVD LP EP AM PM GMT EST PST UTC BC AD OK FM HD VHS PC ID NOTE TEXT PhD MSc BSc MA BA Ph.D B.A
    M.A Ph.D. B.A. M.A. B.Sc. M.Sc. CEO CFO MVP DJ MP
    """
)
# Countries, continents, states and seas: a closed class that no suffix gives away.
REGIONS = frozenset(
    _phrases(
        """
    afghanistan, albania, algeria, andorra, angola, argentina, armenia, australia, austria, azerbaijan,
    bahamas, bahrain, bangladesh, barbados, belarus, belgium, belize, benin, bhutan, bolivia, botswana,
    brazil, brunei, bulgaria, burma, burundi, cambodia, cameroon, canada, chad, chile, china, colombia,
    congo, croatia, cuba, cyprus, czechia, czechoslovakia, denmark, djibouti, ecuador, egypt, england,
    eritrea, estonia, eswatini, ethiopia, fiji, finland, france, gabon, gambia, georgia, germany, ghana,
    greece, greenland, guatemala, guinea, guyana, haiti, honduras, hungary, iceland, india, indonesia,
    iran, iraq, ireland, israel, italy, jamaica, japan, jordan, kazakhstan, kenya, korea, kosovo, kuwait,
    kyrgyzstan, laos, latvia, lebanon, lesotho, liberia, libya, liechtenstein, lithuania, luxembourg,
    madagascar, malawi, malaysia, maldives, mali, malta, mauritius, mexico, moldova, monaco, mongolia,
    montenegro, morocco, mozambique, myanmar, namibia, nepal, netherlands, nicaragua, niger, nigeria,
    norway, oman, pakistan, palestine, panama, paraguay, peru, philippines, poland, portugal, prussia,
    qatar, romania, russia, rwanda, samoa, scotland, senegal, serbia, seychelles, singapore, slovakia,
    slovenia, somalia, spain, sudan, sweden, switzerland, syria, taiwan, tajikistan, tanzania, thailand,
    tibet, togo, tonga, tunisia, turkey, turkmenistan, uganda, ukraine, uruguay, uzbekistan, vanuatu,
    vatican, venezuela, vietnam, wales, yemen, yugoslavia, zambia, zimbabwe, united states, united
    kingdom, great britain, britain, soviet union, new zealand, south africa, south korea, north korea,
    saudi arabia, sri lanka, costa rica, el salvador, hong kong, east germany, west germany, northern
    ireland, puerto rico, africa, antarctica, arctic, asia, europe, north america, south america, latin
    america, oceania, scandinavia, siberia, bavaria, saxony, tuscany, lombardy, normandy, alabama, alaska,
    arizona, arkansas, california, colorado, connecticut, delaware, florida, hawaii, idaho, illinois,
    indiana, iowa, kansas, kentucky, louisiana, maine, maryland, massachusetts, michigan, minnesota,
    mississippi, missouri, montana, nebraska, nevada, new hampshire, new jersey, new mexico, new york,
    north carolina, north dakota, ohio, oklahoma, oregon, pennsylvania, rhode island, south carolina,
    south dakota, tennessee, texas, utah, vermont, west virginia, wisconsin, wyoming, ontario, quebec,
    alberta, manitoba, saskatchewan, british columbia, nova scotia, new south wales, queensland, tasmania,
    western australia, south australia
    """
    )
)
ROMAN = words(
    """
    I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX XXI
    """
)
JOSA = tuple(
    _phrases(
        """
        으로부터, 에게서, 에서는, 에서도, 으로서, 으로써, 이라는, 라는, 이라고, 라고, 에서,
        에게, 까지, 부터, 으로, 처럼, 보다, 만큼, 조차, 마저, 이나, 이며, 이고, 와의,
        과의, 에는, 에도, 로서, 로써, 이란, 은, 는, 이, 가, 을, 를, 의, 에, 와,
        과, 도, 로, 만, 나, 며
        """
    )
)
