
// === What is served: functions ===

class SstFunction extends Component {
  constructor(name, args = {}, opts = {}) {
    super('sst:aws:Function', name, args, opts);
    this.__function = declareFunction(name, { ...args }, this.__place, true);
  }

  get name() {
    return makeOutput(this.__function.known.then((known) => known.name));
  }

  get arn() {
    return output(functionArn(this.__name));
  }

  get url() {
    return placeholderOutput(`${this.__name}.url`);
  }

  get nodes() {
    return placeholderOutput(`${this.__name}.nodes`);
  }

  get targetArn() {
    return this.arn;
  }

  addEnvironment(variables) {
    const added = settled(variables);
    described(
      this.__function.known.then(async (known) => Object.assign(known.environment, await added)),
      here(),
    );
  }

  getSSTLink() {
    return { properties: { name: this.name, url: undefined } };
  }
}

// === What is served: Realtime (reference: iot.md, section 9.4) ===

class Realtime extends Component {
  constructor(name, args = {}, opts = {}) {
    super('sst:aws:Realtime', name, args, opts);
    const handler = declareFunction(`${name}AuthorizerHandler`, args.authorizer, this.__place);
    const resource = { name: physicalName(`${name}Authorizer`), signingDisabled: true, tokenSigningPublicKeys: {} };
    const made = transformed((args.transform || {}).authorizer, resource, `${name}Authorizer`);
    this.__made = made;
    declared.realtime.push({
      name,
      place: this.__place,
      handler,
      authorizer: made,
      subscribers: (this.__subscribers = []),
    });
  }

  get endpoint() {
    return output(ADDRESS);
  }

  get authorizer() {
    return output(this.__made.name);
  }

  get nodes() {
    const { __name: name } = this;
    return {
      authorizer: placeholderOutput(`${name}.authorizer`),
      authHandler: placeholderOutput(`${name}.authHandler`),
    };
  }

  subscribe(subscriber, args = {}) {
    const count = this.__subscribers.length + 1;
    const name = `${this.__name}Subscriber${count === 1 ? '' : count}`;
    const place = here();
    const entry = { name, place, handler: declareFunction(name, subscriber, place) };
    this.__subscribers.push(entry);
    described(
      describeRule(args, name).then((rule) => Object.assign(entry, rule)),
      place,
    );
    return output(placeholder(name));
  }

  getSSTLink() {
    return { properties: { endpoint: this.endpoint, authorizer: this.authorizer } };
  }
}

async function describeRule(args, name) {
  const filter = text(await settled(args.filter));
  if (filter === undefined)
    throw new Fault(`the subscriber \`${name}\` has no filter`, '{ filter: `${$app.name}/${$app.stage}/…` }');
  const resource = { sql: `SELECT * FROM '${filter}'`, sqlVersion: '2016-03-23', enabled: true };
  const { sql, sqlVersion, enabled } = transformed((args.transform || {}).topicRule, resource, `${name}Rule`);
  return { filter, sql: text(await settled(sql)), sqlVersion: text(sqlVersion), enabled: Boolean(enabled) };
}

// === What is served: ApiGatewayWebSocket ===

class ApiGatewayWebSocket extends Component {
  constructor(name, args = {}, opts = {}) {
    super('sst:aws:ApiGatewayWebSocket', name, args, opts);
    this.__args = args;
    const change = args.transform || {};
    const api = { name: physicalName(`${name}Api`), routeSelectionExpression: '$request.body.action' };
    const stage = { name: '$default', stageVariables: {}, accessLogSettings: {}, defaultRouteSettings: {} };
    this.__api = transformed(change.api, api, `${name}Api`);
    this.__stage = transformed(change.stage, stage, `${name}Stage`);
    // The path that tells it from other APIs, which have the same stage.
    this.__path = declared.websocket.length === 0 ? this.__stage.name : name;
    this.__routes = [];
    this.__authorizers = [];
    declared.websocket.push({
      name,
      place: this.__place,
      api: this.__api,
      stage: this.__stage,
      path: this.__path,
      routes: this.__routes,
      authorizers: this.__authorizers,
    });
    if (args.domain) notServed('domain of an API', name);
  }

  get url() {
    return output(`ws://${ADDRESS}/${this.__path}`);
  }

  get managementEndpoint() {
    return output(`http://${ADDRESS}/${this.__path}`);
  }

  get nodes() {
    return placeholderOutput(`${this.__name}.nodes`);
  }

  route(key, handler, args = {}) {
    const place = here();
    const name = `${this.__name}Route${args.name || routeName(key)}`;
    const change = (this.__args.transform || {}).route || {};
    const changed = transformed(change.args, { ...args }, name);
    const withChange = change.handler ? changedHandler(handler, change.handler, name) : handler;
    const entry = { key, place, handler: declareFunction(name, withChange, place) };
    this.__routes.push(entry);
    described(
      settled(changed.auth).then((auth) => Object.assign(entry, { auth: describeAuth(auth, name, place) })),
      place,
    );
    return placeholderOutput(name);
  }

  addAuthorizer(name, args = {}) {
    const place = here();
    const full = `${this.__name}Authorizer${name}`;
    if (Boolean(args.jwt) === Boolean(args.lambda)) {
      throw new Fault(
        `the authorizer \`${name}\` needs one of lambda and jwt`,
        '{ lambda: { function: "path/to/file.function" } }',
        place,
      );
    }
    if (args.jwt) notServed('JWT authorizer of a WebSocket API', full);
    else this.#addLambda(name, full, args.lambda, place);
    return { id: output(full), nodes: placeholderOutput(`${full}.nodes`) };
  }

  #addLambda(name, full, lambda, place) {
    const given = makeOutput(settled(lambda).then((known) => known.function));
    const entry = { name: full, place, handler: declareFunction(`${full}Handler`, given, place) };
    this.__authorizers.push(entry);
    described(
      settled(lambda).then((known) => {
        entry.identitySources = known.identitySources || ['route.request.header.Authorization'];
      }),
      place,
    );
  }

  getSSTLink() {
    return { properties: { url: this.url, managementEndpoint: this.managementEndpoint } };
  }
}

const capitalized = (name) => name.charAt(0).toUpperCase() + name.slice(1);

// `send-message` as SendMessage.
const routeName = (key) => (key.match(/[A-Za-z0-9]+/g) || []).map(capitalized).join('') || 'Other';

function changedHandler(handler, change, name) {
  return output(handler).apply((known) => {
    if (typeof known === 'string' && known.startsWith('arn:')) return known;
    return transformed(change, typeof known === 'string' ? { handler: known } : { ...known }, name);
  });
}

function describeAuth(auth, name, place) {
  if (!auth) return undefined;
  if (auth.lambda) return text(auth.lambda);
  const kind = auth.iam ? 'IAM' : 'JWT';
  note(
    `the ${kind} authorization of \`${name}\` is not checked here: anybody may connect`,
    'a lambda authorizer is',
    place,
  );
  return undefined;
}

// === What is served: tables ===

class Dynamo extends Component {
  constructor(name, args = {}, opts = {}) {
    super('sst:aws:Dynamo', name, args, opts);
    const table = args.ref ? settled({ name: args.table }) : this.#describe(name, args);
    this.__table = makeOutput(described(table, this.__place));
  }

  async #describe(name, given) {
    const place = this.__place;
    const args = await settled(given);
    if (!args.fields || !args.primaryIndex) {
      throw new Fault(
        `the table \`${name}\` has no ${args.fields ? 'primaryIndex' : 'fields'}`,
        '{ fields: { id: "string" }, primaryIndex: { hashKey: "id" } }',
        place,
      );
    }
    const resource = {
      name: physicalName(`${name}Table`),
      billingMode: 'PAY_PER_REQUEST',
      tags: {},
      serverSideEncryption: {},
      pointInTimeRecovery: {},
    };
    const made = transformed((args.transform || {}).table, resource, `${name}Table`);
    const { fields, primaryIndex, globalIndexes = {}, localIndexes = {}, ttl, stream } = args;
    const table = {
      key: name,
      place,
      name: text(made.name),
      fields,
      primaryIndex,
      globalIndexes,
      localIndexes,
      ttl,
      stream,
    };
    declared.tables.push(table);
    return table;
  }

  static get(name, tableName, opts) {
    return new Dynamo(name, { ref: true, table: tableName }, opts);
  }

  static subscribe(name) {
    notServed('stream subscriber of a table', String(name));
    return placeholderOutput('subscriber');
  }

  get name() {
    return this.__table.apply((table) => table.name);
  }

  get arn() {
    return this.name.apply((name) => arnOf('dynamodb', `table/${name}`));
  }

  get nodes() {
    return { table: placeholderOutput(`${this.__name}.table`) };
  }

  subscribe() {
    return Dynamo.subscribe(this.__name);
  }

  getSSTLink() {
    return { properties: { name: this.name } };
  }
}

// === Values: Secret and Linkable ===

class Secret extends Component {
  constructor(name, placeholder) {
    super('sst:sst:Secret', name, {});
    this.placeholder = placeholder === undefined ? undefined : output(placeholder);
    const given = process.env[`SST_SECRET_${name}`];
    if (given === undefined && placeholder === undefined) {
      note(
        `the secret \`${name}\` has no value, and is empty`,
        `put SST_SECRET_${name}=… into .env, or .env.${app.stage}`,
        this.__place,
      );
    }
    this.__value = output(given === undefined ? placeholder : given).apply((value) => text(value) || '');
  }

  get name() {
    return output(this.__name);
  }

  get value() {
    return this.__value;
  }

  getSSTLink() {
    return { properties: { value: this.__value } };
  }
}

class Linkable extends Component {
  constructor(name, definition = {}) {
    super('sst:sst:Linkable', name, definition);
    this.__definition = definition;
  }

  get name() {
    return output(this.__name);
  }

  get properties() {
    return this.__definition.properties || {};
  }

  getSSTLink() {
    return { properties: this.properties, include: this.__definition.include };
  }

  static wrap(kind, describe) {
    kind.prototype.getSSTLink = function getSSTLink() {
      return describe(this);
    };
  }

  // The variables of links, for what is no function.
  static env(links) {
    return makeOutput(
      (async () => {
        const found = { SST_RESOURCE_App: JSON.stringify({ name: app.name, stage: app.stage }) };
        for (const link of ((await settled(links)) || []).filter(isLinkable)) {
          found[`SST_RESOURCE_${link.__name}`] = JSON.stringify(await propertiesOf(link));
        }
        return found;
      })(),
    );
  }
}

// === Sites ===

// Kinds that `sst dev` starts a command for.
const SITES = [
  'Analog',
  'Astro',
  'Nextjs',
  'Nuxt',
  'React',
  'ReactRouter',
  'Remix',
  'SolidStart',
  'StaticSite',
  'StaticSiteV2',
  'SvelteKit',
  'TanStackStart',
  'DevCommand',
  'Service',
];

// What SST itself says for the URL of a site that is not deployed.
const NO_URL = 'http://url-unavailable-in-dev.mode';

function siteClass(type, fallback) {
  return class Site extends fallback {
    static __pulumiType = type;

    constructor(name, args = {}, opts = {}) {
      super(name, args, opts, { isSite: true });
      declareSite(this, args);
      return withOtherMembers(this);
    }

    getSSTLink() {
      return { properties: { url: this.url } };
    }

    get url() {
      return output((this.__dev || {}).url || NO_URL);
    }
  };
}

function declareSite(site, args) {
  const dev = args.dev === false ? undefined : args.dev || {};
  site.__dev = dev;
  const isService = site.__type.endsWith(':Service');
  // A service without a command runs nowhere but in AWS.
  if (isService && !(dev && dev.command)) return notServed(dotted(site.__type), site.__name);
  described(describeSite(site, args, dev), site.__place);
}

async function describeSite(site, args, dev) {
  const links = await linksOf(args.link);
  const known = await settled({ ...args, link: undefined });
  const { command = 'npm run dev', directory } = (await settled(dev)) || {};
  declared.sites.push({
    name: site.__name,
    place: site.__place,
    kind: dotted(site.__type),
    path: text(directory || known.path || '.'),
    command: dev ? text(command) : undefined,
    environment: { ...links.environment, ...known.environment },
    links: links.names,
  });
}
