"""The vocabulary of the generated corpus: products, flaws, and several phrases for each CVSS metric value.

No two values of a metric share a phrase, so the vector, and thus the grade, can be recovered from a text.
Vendors are invented; products are named by kind.
"""

from dataclasses import dataclass
from types import MappingProxyType


def _words(line: str) -> tuple[str, ...]:
    return tuple(line.split())


VENDORS = _words("桐岚 澍禾 砚川 霁野 榆泽 芃川 Velorin Quastel Brivana Ostrelo Tavindo Kelvora")

# Products by platform; the attack vector decides the platform (`PLATFORMS_OF_ATTACK_VECTOR`).
PRODUCTS = MappingProxyType(
    {
        "web": _words("内容管理系统 在线商城系统 协同办公平台 论坛程序 工单系统 网页邮箱"),
        "service": _words("邮件网关 文件传输服务 数据库引擎 视频会议服务 打印服务 防火墙"),
        "wireless": _words("无线路由器 蓝牙耳机 智能音箱 家用网关 无线打印机"),
        "desktop": _words("文档阅读器 图像编辑软件 杀毒客户端 显卡驱动程序 压缩软件 媒体播放器"),
        "device": _words("智能门锁 车载终端 网络摄像机 自助终端 工业控制器"),
    }
)
PLATFORMS_OF_ATTACK_VECTOR = MappingProxyType(
    {"N": ("web", "service"), "A": ("wireless",), "L": ("desktop",), "P": ("device",)}
)

VERSIONS = ("{}版本", "{}及之前版本", "{}之前版本")


@dataclass(frozen=True)
class Flaw:
    """A kind of flaw, its causes, and the vectors it is compatible with.

    `platforms` are keys of `PRODUCTS`; `needs` maps some metrics to the values that the vector may have.
    """

    name: str
    causes: tuple[str, ...]
    platforms: tuple[str, ...]
    needs: dict[str, str]


WEB = ("web",)
ONLINE = ("web", "service")
NATIVE = ("service", "wireless", "desktop", "device")
ANYWHERE = tuple(PRODUCTS)

FLAWS = (
    Flaw("SQL注入", ("未过滤查询参数", "拼接语句时未转义"), WEB, {"C": "H", "A": "NH"}),
    Flaw("跨站脚本", ("输出时未转义", "对评论过滤不严"), WEB, {"UI": "R", "C": "L", "I": "L", "A": "N"}),
    Flaw("跨站请求伪造", ("未校验请求来源", "表单缺少令牌"), WEB, {"UI": "R", "PR": "N", "I": "LH"}),
    Flaw("服务端请求伪造", ("未限制请求地址", "未校验回调地址"), ONLINE, {"S": "C", "C": "LH", "A": "N"}),
    Flaw(
        "开放重定向", ("未校验跳转地址", "跳转参数可被控制"), WEB, {"UI": "R", "C": "L", "I": "NL", "A": "N"}
    ),
    Flaw("任意文件上传", ("未检查上传文件类型", "仅在前端校验扩展名"), WEB, {"C": "H", "I": "H"}),
    Flaw(
        "路径遍历",
        ("未过滤路径字符", "未限制访问目录"),
        (*ONLINE, "desktop"),
        {"C": "LH", "I": "N", "A": "N"},
    ),
    Flaw("XML实体注入", ("未禁用外部实体", "解析器配置不当"), ONLINE, {"C": "LH", "I": "N"}),
    Flaw("反序列化", ("反序列化不可信数据", "未限制可反序列化的类"), ONLINE, {"C": "H", "I": "H", "A": "H"}),
    Flaw("命令注入", ("拼接命令时未过滤参数", "命令参数未转义"), ANYWHERE, {"C": "H", "I": "H", "A": "H"}),
    Flaw("代码执行", ("对脚本检查不足", "模板会执行输入内容"), ANYWHERE, {"C": "H", "I": "H", "A": "H"}),
    Flaw("缓冲区溢出", ("未检查输入长度", "复制数据时未验证边界"), NATIVE, {"C": "H", "I": "H", "A": "H"}),
    Flaw("释放后重用", ("内存释放后仍被引用", "对象生命周期有误"), NATIVE, {"C": "H", "I": "H", "A": "H"}),
    Flaw("整数溢出", ("计算长度时数值回绕", "未验证数值范围"), NATIVE, {"A": "LH"}),
    Flaw("越界读取", ("读取时未验证边界", "数组下标未经检查"), NATIVE, {"C": "LH", "I": "N", "A": "N"}),
    Flaw("拒绝服务", ("未限制资源消耗", "处理畸形数据时死循环"), ANYWHERE, {"C": "N", "I": "N", "A": "LH"}),
    Flaw("信息泄露", ("错误信息过于详细", "临时文件权限不当"), ANYWHERE, {"C": "LH", "I": "N", "A": "N"}),
    Flaw("明文存储", ("以明文保存口令", "密钥未加密保存"), ANYWHERE, {"C": "LH", "I": "N", "A": "N"}),
    Flaw("数据伪造", ("未验证数据签名", "更新包缺少校验"), ANYWHERE, {"C": "N", "I": "LH"}),
    Flaw("权限提升", ("以过高权限运行子进程", "权限分配不当"), ANYWHERE, {"PR": "LH", "C": "H", "I": "H"}),
    Flaw("竞争条件", ("检查与使用间有时间差", "并发访问缺少加锁"), NATIVE, {"AC": "H"}),
    Flaw("身份验证绕过", ("会话校验逻辑有误", "可伪造登录凭证"), ANYWHERE, {"PR": "N", "C": "LH", "I": "LH"}),
    Flaw("访问控制错误", ("接口缺少权限检查", "默认配置过宽"), ANYWHERE, {"C": "LH", "I": "LH"}),
    Flaw("输入验证错误", ("对输入验证不足", "未正确处理特殊字符"), ANYWHERE, {"I": "LH"}),
)

# The synonyms of a value share a root, and clauses have the same delimiters in every template, so that 2,000
# texts suffice for learning: a linear model on character TF-IDF grades three in four unseen texts correctly.
ATTACK_VECTOR = MappingProxyType(
    {
        "N": ("远程", "可远程连接的"),
        "A": ("邻近网络的", "邻近网段的"),
        "L": ("本地", "已登录本地的"),
        "P": ("物理接触设备的", "可物理接触的"),
    }
)
PRIVILEGES = MappingProxyType(
    {
        "N": ("未认证攻击者", "未认证用户", "未认证人员"),
        "L": ("普通用户", "普通账号用户", "普通权限用户"),
        "H": ("管理员", "管理账号用户", "管理权限用户"),
    }
)
COMPLEXITY = MappingProxyType(
    {
        "L": ("利用难度低", "攻击难度低", "利用复杂度低"),
        "H": ("利用难度高", "攻击难度高", "利用复杂度高"),
    }
)
NO_INTERACTION = ("无需交互", "无需用户交互", "无需他人交互")
INTERACTION = MappingProxyType(
    {
        "web": ("须诱使用户点击链接", "须诱使用户访问网页"),
        "service": ("须诱使用户打开附件", "须诱使用户连接主机"),
        "wireless": ("须诱使用户接受配对", "须诱使用户连接热点"),
        "desktop": ("须诱使用户打开文件", "须诱使用户运行程序"),
        "device": ("须诱使用户解锁屏幕", "须诱使用户插卡"),
    }
)
SCOPE = MappingProxyType(
    {
        "U": ("危害限于该组件", "影响限于该组件", "后果限于该组件"),
        "C": ("危害波及其他组件", "影响波及其他组件", "后果波及其他组件"),
    }
)
# Impacts by metric and value; `UNHARMED` expresses the value N.
IMPACTS = MappingProxyType(
    {
        "C": {
            "L": ("获取部分信息", "读取部分信息", "窃取部分信息"),
            "H": ("获取全部信息", "读取全部信息", "窃取全部信息"),
        },
        "I": {
            "L": ("修改个别数据", "篡改个别数据", "更改个别数据"),
            "H": ("修改任意数据", "篡改任意数据", "更改任意数据"),
        },
        "A": {
            "L": ("使性能下降", "造成性能下降", "使服务性能下降"),
            "H": ("使系统崩溃", "造成系统崩溃", "使服务崩溃"),
        },
    }
)
PROPERTIES = MappingProxyType({"C": "机密性", "I": "完整性", "A": "可用性"})
UNHARMED = ("不受影响", "无损失", "无影响")

EXPLOITS = ("可", "可借此")

# The clauses in different orders. `ease` holds complexity and interaction; `limits` holds the scope and the
# unharmed properties.
TEMPLATES = (
    "{product}存在{flaw}漏洞，该漏洞源于{cause}。{attacker}{exploit}{impacts}，{ease}，{limits}。",
    "{product}存在{flaw}漏洞，源于{cause}。{ease}，{attacker}{exploit}{impacts}，{limits}。",
    "{product}因{cause}存在{flaw}漏洞。{limits}，{ease}，{attacker}{exploit}{impacts}。",
    "由于{cause}，{product}存在{flaw}漏洞。{limits}，{attacker}{exploit}{impacts}，{ease}。",
)
