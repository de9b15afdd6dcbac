
// === Everything else ===

// The properties of the links of what is not served, by kind: what an SDK may read
// without finding nothing there.
const DATABASE = ['host', 'port', 'username', 'password', 'database'];
const LINKS = {
  Alb: ['url'],
  ApiGatewayV1: ['url'],
  ApiGatewayV2: ['url'],
  AppSync: ['url'],
  Auth: ['url'],
  Router: ['url'],
  Service: ['url'],
  Aurora: [...DATABASE, 'clusterArn', 'secretArn'],
  Mysql: DATABASE,
  Postgres: DATABASE,
  Redis: ['host', 'port', 'username', 'password'],
  Bucket: ['name'],
  Bus: ['name', 'arn'],
  CognitoIdentityPool: ['id'],
  CognitoUserPool: ['id'],
  CognitoUserPoolClient: ['id', 'secret'],
  D1: ['databaseId'],
  Dsql: ['region', 'endpoint'],
  Email: ['sender', 'configSet'],
  Hyperdrive: ['id'],
  KinesisStream: ['name'],
  Kv: ['namespaceId'],
  OpenSearch: ['username', 'password', 'url'],
  Queue: ['url'],
  SnsTopic: ['arn'],
  StepFunctions: ['arn'],
  Task: ['cluster', 'containers', 'taskDefinition', 'subnets', 'securityGroups', 'assignPublicIp'],
  Vector: ['queryFunction', 'putFunction', 'removeFunction'],
  Vpc: ['bastion'],
  Worker: ['url'],
  Workflow: ['name', 'qualifier'],
};

const classes = new Map();

// The class of what is not served: `sst:aws:Bucket`, `aws:sns/topic:Topic`.
function otherClass(type, shownAs) {
  if (!classes.has(type)) classes.set(type, makeOtherClass(type, shownAs));
  return classes.get(type);
}

function makeOtherClass(type, shownAs) {
  const kind = class extends Component {
    static __pulumiType = type;

    constructor(name, args = {}, opts = {}, { isSite = false } = {}) {
      super(type, name, args, opts);
      if (!isSite) notServed(shownAs, name);
      return isSite ? this : withOtherMembers(this);
    }

    static get(name) {
      return new kind(name);
    }
  };
  if (type.startsWith('sst:')) {
    kind.prototype.getSSTLink = function getSSTLink() {
      const members = LINKS[type.split(':').pop()] || [];
      return { properties: Object.fromEntries(members.map((key) => [key, placeholder(`${this.__name}.${key}`)])) };
    };
  }
  // Static members that nobody knows of, such as sst.aws.Queue.subscribe.
  return new Proxy(kind, {
    get: (target, key) =>
      key in target || typeof key === 'symbol' ? target[key] : placeholderOutput(`${shownAs}.${String(key)}`),
  });
}

// The component with placeholders for all that it does not have.
function withOtherMembers(component) {
  const made = new Proxy(component, { get: memberOfOther });
  linked.set(component.__name, made);
  return made;
}

function memberOfOther(component, key) {
  if (typeof key === 'symbol' || key in component || key === 'then' || key === 'getSSTLink') return component[key];
  return placeholderOutput(`${component.__name}.${key}`);
}

// === Namespaces ===

// Functions of providers that look things up. What they find is in AWS.
const LOOKED_UP = {
  getCallerIdentity: () => ({
    accountId: settings.account,
    arn: arnOf('iam', 'root'),
    userId: 'fanwire',
    id: settings.account,
  }),
  getPartition: () => ({ partition: 'aws', id: 'aws', dnsSuffix: 'amazonaws.com' }),
  getRegion: () => ({ name: settings.region, region: settings.region, id: settings.region }),
};

// A provider's namespace: `aws`, `aws.s3`, `random`. What begins with a capital is a class,
// `get…` a look-up, and the rest namespaces or functions.
function provider(name, parent = '') {
  const full = parent ? `${parent}.${name}` : name;
  return new Proxy(function namespace() {}, {
    get(_, key) {
      if (typeof key === 'symbol' || key === 'then' || key === '__esModule') return undefined;
      if (key === 'prototype') return namespacePrototype;
      if (key === 'default') return this.self || (this.self = provider(name, parent));
      if (/^get[A-Z]/.test(key)) return (...args) => lookUp(key, full, args);
      if (/^[A-Z]/.test(key)) return providerClass(full, key);
      return provider(key, full);
    },
    has: () => true,
    apply: () => placeholderOutput(`${full}()`),
    construct: () => placeholderOutput(full),
  });
}

const namespacePrototype = {};

function providerClass(namespace, name) {
  const [root, ...modules] = namespace.split('.');
  const inner = name.charAt(0).toLowerCase() + name.slice(1);
  const module = modules.length > 0 ? `${modules.join('/')}/${inner}` : `index/${inner}`;
  // Enumerations, such as aws.lambda.Runtime, are read and not made.
  return otherClass(`${root}:${module}:${name}`, `${namespace}.${name}`);
}

function lookUp(key, namespace, args) {
  const isOutputForm = key.endsWith('Output');
  const known = LOOKED_UP[isOutputForm ? key.slice(0, -6) : key];
  const value = known ? known(...args) : placeholder(`${namespace}.${key}()`);
  return isOutputForm ? output(value) : Promise.resolve(value);
}

// `sst.aws`: the classes that are understood, and others for all other names.
function sstNamespace(cloud, understood) {
  const made = { ...understood };
  for (const name of SITES) made[name] = siteClass(`sst:${cloud}:${name}`, otherTarget(cloud, name));
  return new Proxy(made, {
    get(target, key) {
      if (typeof key === 'symbol' || key in target) return target[key];
      if (/^[A-Z]/.test(key)) return otherClass(`sst:${cloud}:${key}`, `sst.${cloud}.${key}`);
      return helper(cloud, key);
    },
  });
}

// Helpers such as sst.aws.permission describe things for others; `sst.cloudflare.x` has
// further classes.
function helper(cloud, name) {
  const describe = (args) => ({ type: `sst.${cloud}.${name}`, ...(isObject(args) ? args : {}) });
  return new Proxy(describe, {
    get: (target, key) => (/^[A-Z]/.test(String(key)) ? sst[cloud][key] : target[key]),
  });
}

const otherTarget = (cloud, name) => makeOtherClass(`sst:${cloud}:${name}`, `sst.${cloud}.${name}`);
